#!/bin/sh
# fake_agent.sh NAME FOLDER PROMPT: does what FOLDER/NAME/KIND.N.sh says (the Nth prompt of its kind), else
# FOLDER/NAME/KIND.sh, else what is harmless. FOLDER/state is for marks, and has every prompt.
name=$1 folder=$2 PROMPT=$3
state=$folder/state
case $PROMPT in
*"You review the work"*"could not be read"*) kind=reread ;;
*"You review the work"*) kind=review ;;
*"check of the result fails"*) kind=mend ;;
*"conflict markers"*) kind=conflict ;;
*"Your work was reviewed"* | *"a person's answer"*) kind=feedback ;;
*"Divide a software-engineering task"*) kind=plan ;;
*) kind=task ;;
esac
run=1
until mkdir "$state/$name.$kind.$run" 2>/dev/null; do run=$((run + 1)); done
printf '%s' "$PROMPT" >"$state/$name.$kind.$run/prompt"

mark() { : >"$state/$1"; }
await() { until [ -e "$state/$1" ]; do sleep 0.05; done; }
event() { printf '{"type":"%s","payload":{"text":"%s"}}\n' "$1" "$2"; }
verdict() {
  printf '{"verdict":"%s","summary":"%s","issues":[{"text":"%s","file":"README.md","line":1}],"recommendations":[]}\n' \
    "$1" "${2:-as $name sees it}" "${2:-none}"
}

for file in "$folder/$name/$kind.$run.sh" "$folder/$name/$kind.sh"; do
  [ -f "$file" ] && { . "$file"; exit; }
done
case $kind in
review | reread) verdict approved ;;
*) echo "$name has nothing to do" ;;
esac
