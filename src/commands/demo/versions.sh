# Functions for version numbers such as 1.10.2; source this file.

# version_lt A B: succeeds when version A is older than version B.
version_lt() {
  [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | LC_ALL=C sort | head -n 1)" = "$1" ]
}
