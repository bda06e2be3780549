#!/usr/bin/env bats
# tools/lane as its caller sees it, on the host: bats tests/lane/lane-host.bats. About two minutes; needs no root.
bats_require_minimum_version 1.5.0

LANE=$BATS_TEST_DIRNAME/../../tools/lane

setup() {
    [ -z "${DRUPE_LANE-}" ] || skip "in a lane"
    # Short enough for a socket's name, and this test's own: what is left in it was left by the lane.
    export TMPDIR
    TMPDIR=$(mktemp -d /tmp/lane-host-XXXXXX)
}

teardown() {
    [ -z "${TMPDIR-}" ] || rm -rf "$TMPDIR"
}

# Nothing is left: neither the directory of a run nor a process of its.
nothing_left() {
    for _ in $(seq 50); do
        [ -z "$(ls -A "$TMPDIR")$(pgrep -f "$TMPDIR/drupe-lane")" ] && return
        sleep 0.1
    done
    ls -A "$TMPDIR"
    pgrep -af "$TMPDIR/drupe-lane"
    return 1
}

@test "lane: the command's exit status is the lane's" {
    local status
    for status in 0 3; do
        run -"$status" "$LANE" uml busybox sh -c "exit $status"
        [ -z "$output" ]
    done
    run -127 "$LANE" uml no-such-command
    nothing_left
}

@test "lane: output comes as it was written, both ways apart, words and directory as given" {
    cd /usr/share
    printf 'a\r\nb\0\003\004\377' >"$TMPDIR/want"
    # shellcheck disable=SC2016 # expanded inside
    "$LANE" uml sh -c 'printf "a\r\nb\0\003\004\377"; echo "$PWD|$1" >&2; cat' x "two  'words\" \$x" >"$TMPDIR/out" 2>"$TMPDIR/err"
    cmp "$TMPDIR/want" "$TMPDIR/out"
    [ "$(cat "$TMPDIR/err")" = "/usr/share|two  'words\" \$x" ]
}

@test "lane: much output to a slow reader is complete" {
    [ "$("$LANE" uml busybox head -c 3000000 /dev/zero | (sleep 8 && wc -c))" = 3000000 ]
}

@test "lane: the time limit ends it with status 124" {
    run -124 "$LANE" uml --timeout 8 sh -c 'echo begun; sleep 100'
    [[ "$output" == *begun*"not finished after 8 s: killed" ]]
    nothing_left
}

@test "lane: what the command leaves running does not hold the lane" {
    local begun=$SECONDS
    run -5 "$LANE" uml sh -c 'sleep 300 & exit 5'
    [ $((SECONDS - begun)) -lt 60 ]
}

@test "lane: a killed lane leaves nothing, even when killed with SIGKILL" {
    for signal in TERM KILL; do
        "$LANE" uml sleep 300 >/dev/null 2>&1 3>&- &
        sleep 6
        kill -$signal $!
        wait $! || true
        nothing_left
    done
}

@test "lane: a kernel panic is the lane's failure, status 125" {
    run -125 "$LANE" uml sh -c 'echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 60'
    [[ "$output" == *"Kernel panic"*"the guest ended before the command did" ]]
    nothing_left
}

@test "lane: nothing that is written there reaches this machine" {
    "$LANE" uml sh -c "touch '$BATS_TEST_DIRNAME/written-in-lane' && rm '$BATS_TEST_DIRNAME/lane-selftest.bats'"
    [ ! -e "$BATS_TEST_DIRNAME/written-in-lane" ]
    [ -e "$BATS_TEST_DIRNAME/lane-selftest.bats" ]
}

@test "lane: several at once do not meet" {
    local i
    for i in 1 2 3; do
        { "$LANE" uml sh -c "echo lane $i; exit $i" >"$TMPDIR/$i" && status=0 || status=$?; echo "$status" >>"$TMPDIR/$i"; } 3>&- &
    done
    wait
    for i in 1 2 3; do [ "$(cat "$TMPDIR/$i")" = "lane $i"$'\n'"$i" ]; done
}

@test "lane: a wrong command line is status 2" {
    run -2 "$LANE" uml
    run -2 "$LANE" kvm true
    run -2 "$LANE" uml --no-such-option true
}
