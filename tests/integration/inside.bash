# shellcheck disable=SC2016,SC2154 # jq programs; variables of bats and of helpers.bash
# inside.bash - containers that stay, and partners for the runtime's sockets; loaded after helpers
#
#   up [ARG]...              a container that runs `/probe trap` until it is killed, with `drupe run --detach ARG...`
#   created [ARG]...         the same by create alone
#   down                     its end
#   inside [ARG]... WORD...  `run drupe exec ARG... ID WORD...`: the flags end at the first word that begins with a slash, or at --
#   init_pid                 of the container, as the host sees it
#   start_peer NAME ARG...   tests/lib/peer.c in the background, until it listens; its output in $BATS_TEST_TMPDIR/NAME
#   end_peer                 waits for it
#   terminal SIZE [STEP]... -- COMMAND...   `run tests/lib/terminal.py`

PEER=${PEER:-${PROBE%/*}/peer}

up() {
    args /probe trap
    detached run --detach --bundle "$BUNDLE" "$@" "$TOKEN"
}

created() {
    args /probe trap
    detached create --bundle "$BUNDLE" "$@" "$TOKEN"
}

down() { drupe delete --force "$TOKEN"; }

inside() {
    local flags=()
    while [ $# -gt 0 ] && [[ "$1" != /* ]] && [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    [ "${1-}" != -- ] || shift
    run drupe exec "${flags[@]}" "$TOKEN" "$@"
}

init_pid() {
    local state
    state=$(drupe state "$TOKEN") && [[ $state =~ \"pid\":\ *([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

start_peer() {
    local name=$1
    shift
    "$PEER" "$@" >"$BATS_TEST_TMPDIR/$name" 2>&1 3>&- &
    PEER_PID=$!
    wait_for 5 grep -q '^listening' "$BATS_TEST_TMPDIR/$name"
}

end_peer() { wait "$PEER_PID"; }

terminal() { run "$LIB/terminal.py" "$@" 3>&-; }
