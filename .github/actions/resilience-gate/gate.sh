#!/usr/bin/env bash
# The steps of the resilience-gate action. Inputs come by environment, never by text put into a script.
#   gate.sh tests   runs the tests and notes how they ended
#   gate.sh judge   makes the reports and notes the gate's verdict
#   gate.sh gate    exits as the verdict demands
set -euo pipefail

output() { printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

enter_working_directory() { cd "$GITHUB_WORKSPACE/$INPUT_WORKING_DIRECTORY"; }

# Tests run in their package's folder, so CHAOS_DIR has to be absolute.
chaos_dir() {
  if [ -z "$INPUT_CHAOS_DIR" ]; then
    mktemp -d "$RUNNER_TEMP/chaos.XXXXXX"
  else
    mkdir -p "$INPUT_CHAOS_DIR" && (cd "$INPUT_CHAOS_DIR" && pwd)
  fi
}

run_tests() {
  enter_working_directory
  local arguments=() tests=passed
  CHAOS_DIR=$(chaos_dir)
  # What the tests leave has this name and nothing else is judged: a run that did not compile leaves nothing.
  CHAOS_RUN="${GITHUB_RUN_ID:-local}-${GITHUB_RUN_ATTEMPT:-1}-$$-${RANDOM}${RANDOM}"
  export CHAOS_DIR CHAOS_RUN
  output chaos-run "$CHAOS_RUN"
  output chaos-dir "$CHAOS_DIR"
  output report-dir "$CHAOS_DIR/report"
  [ -z "$INPUT_PACKAGE" ] || arguments+=(--package "$INPUT_PACKAGE")
  # What services print may be in the log of the tests, and none of it is a command to the runner.
  local token
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  echo "::stop-commands::$token"
  # The verdict is the gate's to give; a failed test is kept and fails the job there.
  bash -c "$INPUT_COMMAND \"\$@\"" tests "${arguments[@]}" || tests=failed
  printf '\n::%s::\n' "$token"
  output tests "$tests"
}

report_command() {
  if [ -n "$INPUT_REPORT_COMMAND" ]; then
    printf '%s' "$INPUT_REPORT_COMMAND"
  elif cargo --list 2>/dev/null | grep -Eq '^ +xtask( |$)'; then
    printf 'cargo xtask chaos-report'
  else
    echo "::error::no \`cargo xtask\` in this repository; set the input report-command" >&2
    return 1
  fi
}

extension() {
  case $1 in
    markdown) echo md ;;
    junit) echo xml ;;
    text) echo txt ;;
    *) echo "$1" ;;
  esac
}

judge() {
  enter_working_directory
  local command format formats baseline=() code=0
  command=$(report_command) || { note_verdict 2; return; }
  report() { bash -c "$command \"\$@\"" chaos-report "$@"; }
  [ -z "$INPUT_BASELINE" ] || baseline=(--baseline "$INPUT_BASELINE")
  : "${CHAOS_RUN:?the tests step did not run}"
  mkdir -p "${CHAOS_DIR:?the tests step did not run}/report"
  read -ra formats <<<"${INPUT_FORMATS//[,$'\n']/ }"
  for format in "${formats[@]}"; do
    # Only the judging call below may write the job summary and annotations, or they would be there many times.
    (unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY
      report --format "$format" --output "$CHAOS_DIR/report/resilience.$(extension "$format")" "${baseline[@]}") ||
      echo "::warning::no $format report: the report command exited with $?"
  done
  report --format text --gate "${baseline[@]}" || code=$?
  note_verdict "$code"
}

note_verdict() {
  local verdict
  case $1 in
    0) verdict=upheld ;;
    1) verdict=not-upheld ;;
    2) verdict=nothing-to-judge ;;
    3) verdict=left-behind ;;
    *) verdict=error ;;
  esac
  output gate-code "$1"
  output verdict "$verdict"
  echo "verdict: $verdict"
}

# A gate without a code never judged, and tests can fail for reasons that no journal knows (they did not compile).
apply_gate() {
  local code=${GATE_CODE:-2}
  [ "$code" = 0 ] || { echo "::error::the resilience gate refuses: exit status $code"; exit "$code"; }
  [ "$TESTS_RESULT" = passed ] || { echo "::error::the journals are fine, but the test command failed"; exit 1; }
}

case ${1:-} in
  tests) run_tests ;;
  judge) judge ;;
  gate) apply_gate ;;
  *) echo "usage: gate.sh tests|judge|gate" >&2; exit 2 ;;
esac
