# Tests of versions.sh: prints a line per case, exits with 1 when one fails.
. ./versions.sh
failures=0

check() { # expected answer, then the two versions
  if version_lt "$2" "$3"; then answer=yes; else answer=no; fi
  if [ "$answer" = "$1" ]; then
    echo "ok: is $2 older than $3? $answer"
  else
    echo "FAILED: is $2 older than $3? got $answer, expected $1"
    failures=$((failures + 1))
  fi
}

check yes 1.2.0 1.3.0
check no 2.0.0 2.0.0
check no 2.0.1 2.0.0
check yes 1.9.0 1.10.0
check no 3.0.10 3.0.9

[ "$failures" -eq 0 ]
