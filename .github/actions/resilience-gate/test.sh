#!/usr/bin/env bash
# Drives gate.sh as the action does, with stand-ins for the test command and for the report command.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
failures=0

expect() { # expect WHAT WANTED GOT
  if [ "$2" = "$3" ]; then echo "ok: $1"; else echo "FAILED: $1: wanted '$2', got '$3'"; failures=1; fi
}

value() { sed -n "s/^$1=//p" "$GITHUB_OUTPUT" | tail -n 1; }

# A report command that notes its arguments, writes what --output names, and leaves as $GATE_EXIT says when gating.
cat >"$root/report" <<'SCRIPT'
#!/usr/bin/env bash
echo "$* summary=${GITHUB_STEP_SUMMARY:-none} run=${CHAOS_RUN:-none}" >>"$CALLS"
gate=0
while [ $# -gt 0 ]; do
  case $1 in
    --output) echo report >"$2"; shift ;;
    --gate) gate=$GATE_EXIT ;;
  esac
  shift
done
exit "$gate"
SCRIPT
chmod +x "$root/report"

# action TEST_COMMAND GATE_EXIT: runs the three steps; $status is how the gate step ended.
action() {
  export GITHUB_WORKSPACE=$root GITHUB_OUTPUT=$root/output RUNNER_TEMP=$root CALLS=$root/calls GATE_EXIT=$2
  export GITHUB_STEP_SUMMARY=summary GITHUB_ACTIONS=true
  export INPUT_COMMAND=$1 INPUT_PACKAGE=${PACKAGE-} INPUT_WORKING_DIRECTORY=. INPUT_CHAOS_DIR='' CHAOS_RUNTIME=docker
  export INPUT_REPORT_COMMAND=${REPORT-$root/report} INPUT_FORMATS='html junit' INPUT_BASELINE=${BASELINE-}
  : >"$GITHUB_OUTPUT"
  : >"$CALLS"
  bash "$here/gate.sh" tests >"$root/log" 2>&1
  CHAOS_DIR=$(value chaos-dir) CHAOS_RUN=$(value chaos-run) bash "$here/gate.sh" judge >>"$root/log" 2>&1
  status=0
  GATE_CODE=$(value gate-code) TESTS_RESULT=$(value tests) bash "$here/gate.sh" gate >>"$root/log" 2>&1 || status=$?
}

action true 0
expect "all upheld passes" 0 "$status"
expect "all upheld is the verdict" upheld "$(value verdict)"
expect "each format is a file" "resilience.html resilience.xml" "$(cd "$(value report-dir)" && echo *)"
expect "one call writes the job summary" 1 "$(grep -c 'summary=summary' "$root/calls")"

action "echo ::error::of a service; printf end" 0
token=$(sed -n 's/^::stop-commands:://p' "$root/log")
expect "what tests print commands nobody" "::stop-commands::$token|::error::of a service|end|::$token::" \
  "$(sed -n "/^::stop-commands::/,/^::$token::/p" "$root/log" | paste -sd'|')"
action "printf %s \"\$CHAOS_RUN\"" 0
expect "nobody can guess when commands count again" yes \
  "$([ ${#token} = 32 ] && [ "$token" != "$(sed -n 's/^::stop-commands:://p' "$root/log")" ] && echo yes || echo no)"

first=$(value chaos-run)
expect "every report is about the run of the tests" "3 0" "$(grep -c "run=$first\$" "$root/calls") $(grep -vc "run=$first\$" "$root/calls")"
action "[ \"\$CHAOS_RUN\" = \"\$(sed -n s/^chaos-run=//p \"\$GITHUB_OUTPUT\")\" ]" 0
expect "the tests belong to the run that is judged" passed "$(value tests)"
expect "no two runs have one name" yes "$([ "$first" != "$(value chaos-run)" ] && echo yes || echo no)"

action false 1
expect "a refuted hypothesis fails with 1" "1 not-upheld failed" "$status $(value verdict) $(value tests)"
expect "reports are made although tests failed" "resilience.html resilience.xml" "$(cd "$(value report-dir)" && echo *)"

action true 2
expect "nothing to judge fails with 2" "2 nothing-to-judge" "$status $(value verdict)"
action true 3
expect "something left behind fails with 3" "3 left-behind" "$status $(value verdict)"
action true 101
expect "a report command that breaks is no verdict" "101 error" "$status $(value verdict)"
action false 0
expect "a failed test fails although the journals are fine" "1 upheld" "$status $(value verdict)"

cat >"$root/command" <<'SCRIPT'
#!/usr/bin/env bash
printf '%s|' "$CHAOS_DIR" "$@" >"$CHAOS_DIR/arguments"
SCRIPT
chmod +x "$root/command"
PACKAGE='a b' action "$root/command" 0
expect "the package arrives as one argument" "$(value chaos-dir)|--package|a b|" "$(cat "$(value chaos-dir)/arguments")"

hostile="\$(touch $root/injected)"
BASELINE=$hostile action true 0
expect "an input is never run as a script" no "$([ -e "$root/injected" ] && echo yes || echo no)"
expect "the baseline arrives unchanged" 3 "$(grep -cF -- "--baseline $hostile" "$root/calls")"

REPORT='' action true 0
expect "without xtask and report command it is bad usage" "2 nothing-to-judge" "$status $(value verdict)"

uploaded=$(awk '/path: \|/ { inside = 1; next } inside && /outputs/ { print $0; next } inside { exit }' "$here/action.yml")
expect "journals and reports are uploaded, and no build" 2 "$(grep -cE '(outputs.chaos-dir }}/journal|outputs.report-dir }})$' <<<"$uploaded")"
expect "nothing else is uploaded" 2 "$(wc -l <<<"$uploaded")"

wanted=$(grep -o 'INPUT_[A-Z_]*' "$here/gate.sh" | sort -u)
given=$(grep -o 'INPUT_[A-Z_]*' "$here/action.yml" | sort -u)
expect "the action hands over what the script reads" "$wanted" "$given"
exit "$failures"
