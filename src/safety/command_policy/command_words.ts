/** Commands that are judged by their leading words alone, whatever their options are. */
import { leadingWords, matchesWords, type PolicyVerdict } from "./rules.ts";

export interface WordsFinding {
  readonly verdict: Exclude<PolicyVerdict, "allow">;
  readonly rule: string;
  readonly reason: string;
}

type Row = Omit<WordsFinding, "reason"> & { readonly does: string; readonly matches: readonly string[] };

/** `matches`: patterns as in a configured rule, with commas between them. */
const row = (verdict: Row["verdict"], rule: string, does: string, matches: string): Row => ({
  verdict,
  rule,
  does,
  matches: matches.split(", "),
});

const ROWS: readonly Row[] = [
  row(
    "block",
    "disk",
    "Changes disks or file systems",
    "mkfs, mkfs.*, mke2fs, mkswap, sfdisk, cfdisk, sgdisk, gdisk, parted, wipefs, blkdiscard, lvremove, " +
      "vgremove, pvremove, cryptsetup, hdparm, mdadm, zpool, diskutil",
  ),
  row(
    "block",
    "power",
    "Stops the machine",
    "shutdown, reboot, halt, poweroff, telinit, systemctl poweroff, systemctl reboot, systemctl halt, " +
      "systemctl suspend, systemctl hibernate, systemctl kexec, systemctl rescue, systemctl emergency",
  ),
  row("block", "kernel", "Changes the running kernel", "insmod, modprobe, rmmod, kexec"),
  row(
    "block",
    "accounts",
    "Changes the machine's users",
    "useradd, userdel, usermod, adduser, deluser, groupadd, groupdel, passwd, chpasswd, visudo, vipw, chsh",
  ),
  row(
    "confirm",
    "publish",
    "Publishes something that cannot be taken back",
    "npm publish, npm unpublish, npm deprecate, npm dist-tag, npm owner, npm access, pnpm publish, yarn publish, " +
      "yarn npm publish, bun publish, deno publish, jsr publish, cargo publish, cargo yank, cargo owner, gem push, " +
      "gem yank, twine upload, poetry publish, uv publish, flit publish, hatch publish, pdm publish, mvn deploy, " +
      "gradle publish, gradlew publish, dotnet nuget push, nuget push, docker push, podman push, helm push, " +
      "vsce publish, ovsx publish, lerna publish, changeset publish, semantic-release, goreleaser release, np, " +
      "release-it, gh release, gh pr merge, gh repo delete, gh repo create, gh secret, gh workflow run, gh api, " +
      "gh auth token, firebase deploy, vercel, netlify deploy, wrangler deploy, wrangler publish, fly deploy, " +
      "flyctl deploy, heroku, serverless deploy, hub release",
  ),
  row(
    "confirm",
    "login",
    "Changes who is logged in",
    "npm login, npm adduser, npm token, cargo login, docker login, gh auth login, gh auth logout, aws configure, " +
      "gcloud auth, az login",
  ),
  row(
    "confirm",
    "install",
    "Installs packages for the whole environment",
    "pip install, pip uninstall, uv pip install, uv pip uninstall, uv tool install, pipx install, pipx run, " +
      "easy_install, conda install, conda create, conda remove, mamba install, gem install, gem uninstall, " +
      "cargo install, go install, apt install, apt remove, apt purge, apt upgrade, apt full-upgrade, " +
      "apt autoremove, apt update, apt-get install, apt-get remove, apt-get purge, apt-get upgrade, " +
      "apt-get dist-upgrade, apt-get autoremove, apt-get update, dpkg, rpm, yum install, yum remove, yum update, " +
      "dnf install, dnf remove, dnf upgrade, zypper install, apk add, apk del, pacman, brew install, " +
      "brew uninstall, brew upgrade, port install, snap install, snap remove, flatpak install, nix-env, " +
      "yarn global, cpan, cpanm, luarocks install, choco install, update-alternatives",
  ),
  row(
    "confirm",
    "network",
    "Talks to another machine",
    "ssh, scp, sftp, telnet, nc, ncat, netcat, socat, ftp, lftp, tftp, rclone, ngrok, cloudflared, ssh-copy-id, " +
      "sshfs, mosh",
  ),
  row(
    "confirm",
    "service",
    "Changes the machine's services",
    "systemctl, service, launchctl, initctl, rc-service, update-rc.d, chkconfig, supervisorctl",
  ),
  row("confirm", "schedule", "Runs something later, when nobody looks", "crontab, at, batch, systemd-run"),
  row(
    "confirm",
    "machine",
    "Changes the machine's settings",
    "mount, umount, sysctl, iptables, ip6tables, nft, ufw, firewall-cmd, ifconfig, swapon, swapoff, losetup, " +
      "timedatectl, hostnamectl, localectl, ldconfig, setenforce, chroot, nsenter, unshare, loginctl, " +
      "grub-install, update-grub, dmsetup, fsck",
  ),
  row("confirm", "processes", "Ends processes by their names, also those of others", "pkill, killall, skill, fuser -k"),
  row(
    "confirm",
    "container",
    "Removes containers, images or volumes",
    "docker rm, docker rmi, docker kill, docker system prune, docker volume rm, docker volume prune, " +
      "docker image prune, docker container prune, docker network rm, podman rm, podman rmi, podman system prune, " +
      "docker exec, docker swarm, docker compose down",
  ),
  row(
    "confirm",
    "cloud",
    "Changes things outside this machine",
    "kubectl delete, kubectl apply, kubectl create, kubectl replace, kubectl patch, kubectl scale, kubectl exec, " +
      "kubectl drain, kubectl edit, helm install, helm upgrade, helm uninstall, terraform apply, " +
      "terraform destroy, tofu apply, tofu destroy, pulumi up, pulumi destroy, aws, gcloud, az, gsutil, doctl, " +
      "ansible, ansible-playbook, mysqladmin, dropdb",
  ),
  row(
    "confirm",
    "credentials",
    "Shows credentials",
    "security find-generic-password, gpg --export-secret-keys, secret-tool, pass show, git credential, op read",
  ),
  row("confirm", "privilege", "Acts as another user", "sudo, doas, su, pkexec, runuser, sg, newgrp"),
];

/** What only asks, with options. */
const HARMLESS = [
  "systemctl status",
  "systemctl show",
  "systemctl list-units",
  "systemctl list-unit-files",
  "systemctl is-active",
  "systemctl is-enabled",
  "systemctl cat",
  "dpkg -l",
  "dpkg -L",
  "dpkg -s",
  "dpkg -S",
  "dpkg --list",
  "dpkg --print-architecture",
  "rpm -q*",
  "pacman -Q*",
  "crontab -l",
  "aws --version",
  "gcloud --version",
  "az --version",
  "sysctl -a",
  "sysctl -n",
  "gh release list",
  "gh release view",
  "np --version",
  "npm access list",
  "vercel --version",
];

/** What speaks against a command by its words; undefined for most. */
export function judgeWords(name: string, args: readonly string[]): WordsFinding | undefined {
  const all = [name, ...args];
  const isQuestion = args.length === 1 && /^(?:--version|--help|-h|-V|help|version)$/.test(args[0]!);
  if (isQuestion || HARMLESS.some((match) => matchesWords(match, all))) return undefined;
  const leading = leadingWords(name, args);
  for (const { verdict, rule, does, matches } of ROWS) {
    const match = matches.find((each) => matchesWords(each, each.includes(" -") ? all : leading));
    if (match !== undefined) return { verdict, rule, reason: `${does}: \`${match.replace(/\*$/, "")}\`` };
  }
  return undefined;
}
