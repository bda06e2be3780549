#!/usr/bin/env bats
# shellcheck disable=SC2016 # programs for the shells inside
# sd_notify: a service manager with a socket, and a program in a container that tells it things.
load helpers

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
    HEARD=$BATS_TEST_TMPDIR/heard
    : >"$HEARD"
    manager
}

teardown() {
    drupe delete --force "$ID" >/dev/null 2>&1 || true
    kill "$LISTENER" 2>/dev/null || true
    wait "$LISTENER" || true
    end_test
}

# One message a line, its own lines joined by ';'. A descriptor that comes with one is closed with it.
manager() {
    export NOTIFY_SOCKET=$BATS_TEST_TMPDIR/manager.sock
    python3 - "$NOTIFY_SOCKET" >>"$HEARD" <<'END' 3>&- &
import os, socket, sys
end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
end.bind(sys.argv[1])
while True:
    text, fds, flags, peer = socket.recv_fds(end, 4096, 4)
    print(text.decode().rstrip("\n").replace("\n", ";") + (" +%d" % len(fds) if fds else ""), flush=True)
    for fd in fds:
        os.close(fd)
END
    LISTENER=$!
    wait_for 10 test -S "$NOTIFY_SOCKET"
}

heard() { grep -qxF -- "$1" "$HEARD"; }

@test "notify: run --detach returns when the program is ready, and says which process it is" {
    args /bin/sh -c '/probe notify "STATUS=loading"; while [ ! -e /go ]; do sleep 0.05; done; /probe notify "READY=1;STATUS=up"; exec /probe trap'
    detached run --detach --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" &
    local command=$!
    wait_for 10 heard STATUS=loading
    kill -0 "$command"
    run ! heard 'READY=1;STATUS=up'
    touch "$BUNDLE/rootfs/go"
    wait "$command"
    [ "$(tail -n 3 "$HEARD")" = "READY=1;STATUS=up
MAINPID=$(cat "$BATS_TEST_TMPDIR/pid")
BARRIER=1 +1" ]
    # Its own socket, which it cannot put another in the place of; nothing of it in what exec starts.
    run drupe exec "$ID" /bin/sh -c 'rm /run/notify/notify.sock; touch /run/notify/x; env'
    [[ "$output" == *'Read-only file system'*'Read-only file system'* ]]
    [[ "$output" != *NOTIFY_SOCKET* ]]
    drupe delete --force "$ID"
    [ -z "$(ls -A "$ROOT")" ]
}

@test "notify: start waits; create does not; what it waits for may be another user's" {
    args /bin/sh -c '/probe notify READY=1; exec /probe trap'
    config '.process.user = { uid: 1000, gid: 1000 } | .process.env += ["HOME=/"]'
    detached create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    [ ! -s "$HEARD" ]
    detached start "$ID"
    [ "$(cat "$HEARD")" = "READY=1
MAINPID=$(cat "$BATS_TEST_TMPDIR/pid")
BARRIER=1 +1" ]
    # The lock is not held meanwhile or afterwards.
    drupe delete --force "$ID"
}

@test "notify: while start waits, others can look and kill, and then it ends" {
    args /bin/sh -c '/probe notify STATUS=slow; exec /probe trap'
    detached create --bundle "$BUNDLE" "$ID"
    detached start "$ID" &
    local command=$!
    wait_for 10 heard STATUS=slow
    [ "$(drupe state "$ID" | jq -r .status)" = running ]
    drupe kill "$ID" KILL
    wait "$command"
    run ! heard 'BARRIER=1 +1'
    drupe delete "$ID"
}

@test "notify: in the foreground, until the end; nothing that names processes or descriptors is passed on" {
    args /bin/sh -c '/probe notify "MAINPID=1;READY=1;FDSTORE=1;BUSERROR=x;NOTIFYACCESS=all"; /probe notify MAINPID=1; /probe notify WATCHDOG=1;
        /probe notify "STOPPING=1"; while ! [ -e /go ]; do sleep 0.05; done; exit 3'
    detached run --bundle "$BUNDLE" "$ID" &
    local command=$!
    wait_for 10 heard STOPPING=1
    touch "$BUNDLE/rootfs/go"
    local status=0
    wait "$command" || status=$?
    [ "$status" = 3 ]
    [ "$(cat "$HEARD")" = $'READY=1\nWATCHDOG=1\nSTOPPING=1' ]
}

@test "notify: without NOTIFY_SOCKET, and where the config has its own, nothing is added" {
    args /bin/sh -c 'echo "${NOTIFY_SOCKET-none}"; ls /run'
    run -0 env -u NOTIFY_SOCKET "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
    [ "$output" = none ]
    config '.process.env += ["NOTIFY_SOCKET=/other"]'
    run -0 drupe run --bundle "$BUNDLE" "$ID"
    [ "$output" = /other ]
}

@test "notify: a manager that is not there is an error before anything runs" {
    args /probe write /ran yes
    NOTIFY_SOCKET=$BATS_TEST_TMPDIR/nobody run -1 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [[ "$stderr" == "drupe: NOTIFY_SOCKET=$BATS_TEST_TMPDIR/nobody: No such file or directory" ]]
    NOTIFY_SOCKET=relative run -1 --separate-stderr drupe run --bundle "$BUNDLE" "$ID"
    [[ "$stderr" == 'drupe: NOTIFY_SOCKET=relative: not the name of a socket' ]]
    [ ! -e "$BUNDLE/rootfs/ran" ]
    [ -z "$(ls -A "$ROOT")" ]
}
