/** The frame of all pages: finds the one that the address names, and what leads to the others. */
import {
  api,
  Empty,
  ErrorBox,
  go,
  html,
  Loading,
  render,
  setWaiting,
  useCallback,
  useEffect,
  useRecord,
  useRef,
  useState,
  useStored,
  useWaiting,
} from "/kit.js";

const ATTENTION_MS = 15_000;
/** By the first part of the address; those of one run are told its id and its tab by the others. */
const PAGES = {
  "": "home",
  sessions: "session",
  runs: "run",
  mini: "mini",
  costs: "costs",
  schedule: "schedule",
  start: "start",
  find: "find",
};
const OF_ONE_RUN = new Set(["sessions", "runs", "mini", "find"]);

const KEYS = [
  ["/", "Search"],
  ["j k", "The next, the one before in a list"],
  ["Enter", "Open it"],
  ["g h", "Home"],
  ["g c", "Costs"],
  ["g s", "Schedule"],
  ["g n", "Start something new"],
  ["?", "These keys"],
  ["Esc", "Close, or leave a field"],
];
const GOES_TO = { h: "#/", c: "#/costs", s: "#/schedule", n: "#/start" };

function parseAddress(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { parts, query: new URLSearchParams(query) };
}

function useAddress() {
  const [address, setAddress] = useState(() => parseAddress(location.hash));
  useEffect(() => {
    const update = () => setAddress(parseAddress(location.hash));
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  return address;
}

/** What the address is about: which page, and of which run. */
function pageOf({ parts: [first, second = "", third = ""], query }, about) {
  if (first === "" && about.mode === "session") {
    return { name: "session", id: null, tab: "", query, key: "session" };
  }
  const name = Object.hasOwn(PAGES, first) ? PAGES[first] : undefined;
  if (name === undefined) return undefined;
  if (OF_ONE_RUN.has(first)) return { name, id: second, tab: third, query, key: `${first} ${second}` };
  return { name, id: null, tab: second, query, key: first };
}

function App() {
  const address = useAddress();
  const { data: about, error, reload } = useRecord("/api/about");
  const main = useRef(null);
  const page = about && pageOf(address, about);
  useEffect(() => scrollTo(0, 0), [page?.key]);
  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      main.current?.querySelector("main")?.focus();
    }}>To the content</a>
    <${Header} about=${about} first=${address.parts[0]} />
    <div ref=${main}>${about === undefined
      ? html`<main>${error ? html`<${ErrorBox} error=${error} onRetry=${reload} />` : html`<${Loading} />`}</main>`
      : page === undefined
      ? html`
        <main>
          <${Empty}>There is no such page. <a href="#/">To all runs</a></${Empty}></main>
      `
      : html`<${Page} key=${page.key} page=${page} about=${about} />`}</div>
    <${Keys} />
  `;
}

function Page({ page: { name, ...rest }, about }) {
  const [found, setFound] = useState({});
  const load = useCallback(async () => {
    try {
      const { default: Shown } = await import(`/pages/${name}.js`);
      setFound({ Shown });
    } catch (error) {
      setFound({ error });
    }
  }, [name]);
  useEffect(() => {
    load();
  }, [load]);
  // A module that could not be loaded stays so for as long as the window is there.
  if (found.error) {
    return html`
      <main>
        <${ErrorBox} error=${found.error} onRetry=${() => location.reload()} />
      </main>
    `;
  }
  if (found.Shown === undefined) {
    return html`
      <main>
        <${Loading} />
      </main>
    `;
  }
  return html`<${found.Shown} ...${rest} about=${about} />`;
}

function Header({ about, first }) {
  const waiting = useAttention(about !== undefined);
  const links = about?.mode === "session" ? [["", "Session"], ["costs", "Costs"]] : [
    ["", "Runs"],
    ["costs", "Costs"],
    ["schedule", "Schedule"],
    ...(about?.can_start.length > 0 ? [["start", "Start"]] : []),
  ];
  const isHere = (part) => part === first || (part === "" && OF_ONE_RUN.has(first));
  return html`
    <header class="topbar">
      <a class="brand" href="#/" title=${about ? `gocore ${about.version}` : undefined}>gocore</a>
      <nav aria-label="Pages">${links.map(([part, label]) =>
        html`<a key=${part} href="#/${part}" aria-current=${isHere(part) ? "page" : undefined}>
        ${label}${
          part === "" && waiting > 0
            ? html`
              <span class="count warn" title="Need attention">${waiting}</span>
            `
            : ""
        }
      </a>`
      )}</nav>
      <${ThemeSwitch} />
      <button type="button" class="quiet help" aria-label="Keys" title="Keys ( ? )" onClick=${showKeys}>?</button>
    </header>
  `;
}

/** The list of all runs knows it sooner, while somebody looks at it. */
function useAttention(isReady) {
  useEffect(() => {
    if (!isReady) return;
    const ask = async () => {
      try {
        setWaiting((await api("/api/attention")).entries.length);
      } catch {
        // The page itself says that the server cannot be reached.
      }
    };
    ask();
    const timer = setInterval(ask, ATTENTION_MS);
    return () => clearInterval(timer);
  }, [isReady]);
  return useWaiting();
}

const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };
const NEXT_THEME = { auto: "light", light: "dark", dark: "auto" };

function ThemeSwitch() {
  const [kept, setTheme] = useStored("theme", "auto");
  const theme = Object.hasOwn(THEMES, kept) ? kept : "auto";
  useEffect(() => {
    document.documentElement.dataset.theme = theme === "auto" ? "" : theme;
  }, [theme]);
  return html`
    <button
      type="button"
      class="quiet theme"
      aria-label="Theme: ${THEMES[theme]}. Change it"
      title="Theme"
      onClick=${() => setTheme(NEXT_THEME[theme])}
    ><span class="half" aria-hidden="true"></span>${THEMES[theme]}</button>
  `;
}

// --- keys

const showKeys = () => {
  const dialog = document.getElementById("keys");
  if (!dialog.open) dialog.showModal();
};

const Keys = () =>
  html`
    <dialog id="keys" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">${KEYS.map(([keys, meaning]) =>
        html`
          <div key=${keys}>
            <dt>${keys.split(" ").map((key) =>
              html`
                <kbd>${key}</kbd>
              `
            )}</dt>
            <dd>${meaning}</dd>
          </div>
        `
      )}</dl>
      <form method="dialog" class="row end"><button autofocus>Close</button></form>
    </dialog>
  `;

const isField = (element) => element.matches("input, textarea, select, [contenteditable]");
const isShown = (element) => element.getClientRects().length > 0;

function move(by) {
  const items = [...document.querySelectorAll("[data-item]")].filter(isShown);
  const at = items.findIndex((item) => item.contains(document.activeElement));
  const next = at === -1 ? (by > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, at + by));
  items[next]?.focus();
  items[next]?.scrollIntoView({ block: "nearest" });
}

let isGoing = false;

document.addEventListener("keydown", (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  if (ctrlKey || metaKey || altKey || document.querySelector("dialog[open]")) return;
  if (isField(target)) {
    if (key === "Escape") target.blur();
    return;
  }
  const wasGoing = isGoing;
  isGoing = key === "g" && !wasGoing;
  // Not everything is to be had everywhere.
  if (wasGoing && document.querySelector(`.topbar [href="${GOES_TO[key]}"]`) !== null) return go(GOES_TO[key]);
  if (key === "j" || key === "k") move(key === "j" ? 1 : -1);
  else if (key === "?") showKeys();
  else if (key === "/") {
    const field = document.querySelector("[data-search]");
    if (field === null) return;
    event.preventDefault();
    field.focus();
    field.select();
  }
});

render(html`<${App} />`, document.getElementById("app"));
