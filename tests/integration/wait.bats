#!/usr/bin/env bats
# shellcheck disable=SC2016 # programs for the shells inside
# wait: the exit status of a container, while it runs and afterwards, with and without a parent that keeps it.
load helpers

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
}

create() { detached create --bundle "$BUNDLE" "$@" "$ID"; }
stopped() { [ "$(drupe state "$ID" | jq -r .status)" = stopped ]; }

# Whose children we are adopts and reaps what is left of a container: nobody but the kernel knows then how it ended.
reaped() { stopped && [ ! -e "/proc/$1" ]; }

# `drupe wait` of our container is in poll(2): what is reaped before that went unseen.
is_waiting() {
    local pid
    for pid in $(pgrep -f "^$RUNTIME .*wait $ID\$"); do
        in_poll "$pid" && return 0
    done
    return 1
}

# Before Linux 6.15 only a parent learns how a process ended, or whoever looks before it is reaped.
can_record() {
    local release
    release=$(uname -r)
    [ "$(printf '%s\n' 6.15 "$release" | sort -V | head -n 1)" = 6.15 ] || skip "needs Linux 6.15, this is $release"
}

@test "wait: a container that runs, by its exit status and by a signal" {
    can_record
    args /bin/sh -c 'trap "exit 42" TERM; echo up >/up; while :; do sleep 0.05; done'
    create
    detached start "$ID"
    wait_for 10 test -s "$BUNDLE/rootfs/up"
    drupe wait "$ID" >"$BATS_TEST_TMPDIR/status" 2>&1 &
    wait_for 10 is_waiting
    drupe kill "$ID" TERM
    wait $!
    [ "$(cat "$BATS_TEST_TMPDIR/status")" = 42 ]
    # And whoever comes later is told by what the first has written down.
    run -0 --separate-stderr drupe wait "$ID"
    [ "$output" = 42 ]
    drupe delete "$ID"

    args /probe trap
    create
    detached start "$ID"
    drupe wait "$ID" >"$BATS_TEST_TMPDIR/status" 2>&1 &
    wait_for 10 is_waiting
    drupe kill "$ID" KILL
    wait $!
    [ "$(cat "$BATS_TEST_TMPDIR/status")" = 137 ]
    drupe delete "$ID"
}

@test "wait: a created container, until it has run" {
    can_record
    args /bin/sh -c 'exit 3'
    create
    drupe wait "$ID" >"$BATS_TEST_TMPDIR/status" 2>&1 &
    wait_for 10 is_waiting
    detached start "$ID"
    wait $!
    [ "$(cat "$BATS_TEST_TMPDIR/status")" = 3 ]
    drupe delete "$ID"
}

@test "wait: after the end, of a container created with --record-exit; nothing of it stays behind" {
    can_record
    local pid
    args /bin/sh -c 'exit 7'
    create --record-exit --pid-file "$BATS_TEST_TMPDIR/pid"
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    detached start "$ID"
    wait_for 10 reaped "$pid"
    run -0 drupe wait "$ID"
    [ "$output" = 7 ]
    run -0 drupe wait "$ID"
    [ "$output" = 7 ]
    drupe delete "$ID"
    [ -z "$(ls -A "$ROOT")" ]

    args /probe trap
    detached run --detach --record-exit --pid-file "$BATS_TEST_TMPDIR/pid" --bundle "$BUNDLE" "$ID"
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    drupe kill "$ID" KILL
    wait_for 10 reaped "$pid"
    run -0 drupe wait "$ID"
    [ "$output" = 137 ]
    drupe delete --force "$ID"
    [ -z "$(ls -A "$ROOT")" ]
}

@test "wait: after the end, of a container that nobody kept the status of, says so" {
    args /bin/sh -c 'exit 7'
    create --pid-file "$BATS_TEST_TMPDIR/pid"
    detached start "$ID"
    wait_for 10 reaped "$(cat "$BATS_TEST_TMPDIR/pid")"
    run -1 --separate-stderr drupe wait "$ID"
    [ -z "$output" ]
    [[ "$stderr" == "drupe: container \"$ID\" has ended, and its exit status went to the process that reaped it: "* ]]
    [ "${#stderr_lines[@]}" = 1 ]
    drupe delete "$ID"
}

@test "wait: after the end, of one whose parent has not collected it yet" {
    args /bin/sh -c 'exit 9'
    unreaped run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 stopped
    run -0 drupe wait "$ID"
    [ "$output" = 9 ]
    reap_now
    # It is reaped now; what was found out is known.
    run -0 drupe wait "$ID"
    [ "$output" = 9 ]
    drupe delete "$ID"
}

@test "wait: run --keep writes down what it returns" {
    args /bin/sh -c 'exit 5'
    run -5 drupe run --keep --bundle "$BUNDLE" "$ID"
    run -0 drupe wait "$ID"
    [ "$output" = 5 ]
    drupe delete "$ID"
}

@test "wait: no such container; and one that is deleted meanwhile" {
    run -1 --separate-stderr drupe wait "$ID"
    [ "$stderr" = "drupe: container \"$ID\" does not exist" ]
    args /probe trap
    detached run --detach --bundle "$BUNDLE" "$ID"
    drupe wait "$ID" >"$BATS_TEST_TMPDIR/status" 2>&1 &
    drupe delete --force "$ID"
    wait $! || true
    [ ! -e "$ROOT/$ID" ]
}
