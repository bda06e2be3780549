#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# Terminals: of the foreground, handed to a console socket, of exec.
load helpers
load inside

setup() {
    begin_test
    setup_bundle
    config '.process.terminal = true'
}

teardown() { end_test; }

# on_terminal [STEP]... : runs the container on a terminal of 24x80
on_terminal() {
    terminal 24x80 "$@" -- "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)"
}

@test "foreground: the program has the window size from the beginning" {
    args /probe tty
    terminal 31x97 -- "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)"
    [[ "$output" == *"size 31 97"*"status 0"* ]]
}

@test "foreground: it is a terminal by name, controls its session, and leaves line ends alone" {
    args /probe tty , ids
    on_terminal
    [[ "$output" == *"isatty 0 /dev/pts/0"*"isatty 1 /dev/pts/0"*"isatty 2 /dev/pts/0"* ]]
    [[ "$output" == *"onlcr 0"* ]]
    [[ "$output" == *"controlling 1"*"foreground 1"*"sid 1"*"pgid 1"*"status 0"* ]]
}

@test "foreground: the user of the process owns the terminal" {
    config '.process.user = {uid: 1000, gid: 1000}'
    args /probe stat /dev/pts/0 , write /dev/pts/0 words
    on_terminal
    [[ "$output" == *"/dev/pts/0 type c mode 0620 uid 1000 gid 5 "* ]]
    [[ "$output" == *"words"*"write 5"* ]]
}

@test "foreground: a change of the window reaches the program" {
    args /probe winch
    on_terminal expect=ready size=11x22
    [[ "$output" == *"size 11 22"*"status 0"* ]]
}

@test "foreground: SIGWINCH to the runtime copies the size, and is not passed on as a signal of its own" {
    args /probe winch
    on_terminal expect=ready size=12x23 kill=28
    [[ "$output" == *"size 12 23"* ]]
}

@test "foreground: our terminal is raw meanwhile and as before afterwards" {
    args /probe echo hello , trap
    on_terminal expect=ready kill=15
    [[ "$output" == *"status 0"*"restored yes"*"raw yes"* ]]
}

@test "foreground: our terminal is as before after a failing start, too" {
    args /nonexistent
    on_terminal
    [[ "$output" == *"no such file or directory"*"status 1"*"restored yes"* ]]
}

@test "foreground: a MiB of output arrives whole, though the program ends at once" {
    args /bin/sh -c 'seq 16384 | sed "s/.*/line & 345678901234567890123456789012345678901234567890123/"'
    on_terminal
    [[ "$output" == *"status 0"* ]]
    # The caller's terminal adds the carriage returns, the container's must not.
    [ "$(grep -ac '^line [0-9]* 345678901234567890123456789012345678901234567890123.$' <<<"$output")" = 16384 ]
}

@test "foreground: ctrl-c interrupts the program, not the runtime" {
    args /bin/sh -c 'trap "echo caught; exit 7" INT; echo ready; while :; do sleep 0.05; done'
    on_terminal expect=ready 'send=\x03'
    [[ "$output" == *"caught"*"status 7"*"restored yes"* ]]
}

@test "foreground: ctrl-z stops a job of the container's shell, not the runtime" {
    args /bin/sh -i
    # The shell names a job before it hands it the terminal: only the job itself can say that ctrl-c will be its own.
    on_terminal 'expect=#' 'send=sh -c \x27trap "echo goes o""n" CONT; echo rea""dy; while :; do sleep 0.05; done\x27\n' expect=ready 'send=\x1a' \
        expect=Stopped 'expect=#' 'send=fg\n' 'expect=goes on' 'send=\x03' 'expect=#' 'send=exit 5\n'
    [[ "$output" == *"status 5"* ]]
}

@test "foreground: ctrl-d is the end of the input" {
    args /bin/sh -c 'echo ready; cat; echo end'
    on_terminal expect=ready 'send=words\n\x04'
    [[ "$output" == *"words"*"end"*"status 0"* ]]
}

@test "foreground: the end of a file as input is the end of the input, in the middle of a line, too" {
    printf 'first\nlast' >"$BATS_TEST_TMPDIR/input"
    args /bin/sh -c 'stty -echo; cat; echo :end'
    on_terminal "in=$BATS_TEST_TMPDIR/input"
    [[ "$output" == *"first"*"last:end"*"status 0"* ]]
}

@test "foreground: exit status and death by a signal are the program's" {
    args /probe exit 42
    on_terminal
    [[ "$output" == *"status 42"* ]]
    args /bin/sh -c '(kill -KILL $$) & sleep 5'
    config '.linux.namespaces |= map(select(.type != "pid"))'
    on_terminal
    [[ "$output" == *"status 137"* ]]
}

@test "foreground: a program that writes much before it reads much does not get stuck" {
    # What comes before the terminal is raw is a line, and one of more than 4095 characters is cut.
    args /bin/sh -c 'stty raw -echo; : >/tmp/raw; exec /probe flood 262144'
    mkfifo "$BATS_TEST_TMPDIR/input"
    local input
    exec {input}<>"$BATS_TEST_TMPDIR/input"
    { wait_for 10 test -e "$BUNDLE/rootfs/tmp/raw" && head -c 262144 /dev/zero | tr '\0' y; } >&"$input" 3>&- &
    exec {input}>&-
    on_terminal "in=$BATS_TEST_TMPDIR/input"
    [[ "$output" == *"read 262144"*"status 0"* ]]
}

@test "foreground: a program that closes its terminal and opens it again is still heard" {
    args /probe reopen , echo back again
    on_terminal
    [[ "$output" == *"back again"*"status 0"* ]]
}

@test "foreground: a program without its terminal costs no time while input waits" {
    args /bin/sh -c 'exec <&- >&- 2>&-; : >/tmp/closed; exec /probe sleep 77'
    echo some words >"$BATS_TEST_TMPDIR/input"
    "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)" <"$BATS_TEST_TMPDIR/input" >/dev/null 3>&- & local pid=$!
    wait_for 5 test -e "$BUNDLE/rootfs/tmp/closed"
    # Not one of the descriptors it waits for is ready all the time: then half a second would be 50 ticks.
    ticks() { awk '{ print $14 + $15 }' "/proc/$pid/stat"; }
    costs_nothing() {
        local before
        before=$(ticks)
        sleep 0.5
        [ $(($(ticks) - before)) -le 2 ]
    }
    wait_for 1 costs_nothing
    kill -KILL "$(init_pid)"
    wait "$pid" || true
}

@test "foreground: no reader for the output does not hold the program" {
    args /bin/sh -c 'i=0; while [ $i -lt 3000 ]; do echo "line $i ................................................................"; i=$((i + 1)); done; exit 9'
    run bash -c '"$@" | head -n 1 >/dev/null; exit "${PIPESTATUS[0]}"' bash timeout "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)" </dev/null 3>&-
    [ "$status" = 9 ]
}

@test "foreground: a signal ends the runtime when nobody reads the rest of the output" {
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    # More than the FIFO takes, so that the runtime has the rest when the program dies.
    args /bin/sh -c 'head -c 70000 /dev/zero; : >/tmp/written; head -c 130000 /dev/zero'
    "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)" </dev/null >"$BATS_TEST_TMPDIR/fifo" 3>&- & local pid=$!
    exec 9<"$BATS_TEST_TMPDIR/fifo"
    wait_for 5 test -e "$BUNDLE/rootfs/tmp/written"
    kill -KILL "$(init_pid)"
    is_stopped() { [ "$(drupe state "$(container_id)" | jq -r .status)" = stopped ]; }
    wait_for 5 is_stopped
    kill -TERM "$pid"
    wait "$pid" || status=$?
    [ "$status" = 137 ]
    exec 9<&-
    run drupe state "$(container_id)"
    [[ "$output" == *"does not exist"* ]]
}

@test "foreground: the console is the terminal" {
    args /bin/sh -c 'echo by console >/dev/console; stat -c "%t:%T %u" /dev/console /dev/pts/0'
    on_terminal
    [[ "$output" == *"by console"* ]]
    [ "$(grep -ac '^88:0 0' <<<"$output")" = 2 ]
}

@test "foreground: a read-only root without a mount on /dev has a terminal" {
    config '.root.readonly = true | .mounts |= map(select(.destination | startswith("/dev") | not))'
    args /probe tty
    on_terminal
    [[ "$output" == *"isatty 0 "*"size 24 80"*"status 0"* ]]
    [ ! -e "$BUNDLE/rootfs/dev/console" ] || [ "$(stat -c %F "$BUNDLE/rootfs/dev/console")" = 'regular empty file' ]
}

@test "foreground: consoleSize counts where we have no terminal ourselves" {
    config '.process.consoleSize = {height: 13, width: 45}'
    args /probe tty
    run_container </dev/null
    [ "$status" = 0 ]
    [[ "$output" == *"size 13 45"* ]]
}

@test "job control: a shell may have jobs, and /dev/tty is the terminal" {
    args /bin/sh -i
    on_terminal 'expect=#' 'send=echo to tty >/dev/tty; tty; exit 3\n'
    [[ "$output" == *"to tty"*"/dev/pts/0"*"status 3"* ]]
    [[ "$output" != *"job control"* ]]
}

# ------------------------------------------------------------------------------------------------------------------ console sockets

@test "console socket: one terminal master comes with a short payload, and works" {
    start_peer console console "$BATS_TEST_TMPDIR/sock"
    args /probe tty , echo over
    detached create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock" "$(container_id)"
    drupe start "$(container_id)"
    end_peer
    run -0 cat "$BATS_TEST_TMPDIR/console"
    [[ "$output" == *"payload 10 /dev/pts/0"*"descriptors 1"*"terminal 0"*"controlling 1"*"over"* ]]
    down
}

@test "console socket: run --detach passes the terminal on, with the size of the config" {
    start_peer console console "$BATS_TEST_TMPDIR/sock"
    config '.process.consoleSize = {height: 7, width: 9}'
    args /probe tty
    detached run --detach --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock" "$(container_id)"
    end_peer
    grep -q 'size 7 9' "$BATS_TEST_TMPDIR/console"
    down
}

@test "console socket: a path longer than an address" {
    local dir
    dir=$BATS_TEST_TMPDIR/$(printf 'd%.0s' {1..120})
    mkdir "$dir"
    start_peer console console "$dir/sock"
    args /probe echo far
    detached run --detach --bundle "$BUNDLE" --console-socket "$dir/sock" "$(container_id)"
    end_peer
    grep -q far "$BATS_TEST_TMPDIR/console"
    down
}

@test "console socket: missing, not a socket, or a FIFO is an error that leaves nothing" {
    local sock
    echo >"$BATS_TEST_TMPDIR/file"
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    for sock in missing file fifo; do
        run drupe create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/$sock" "$(container_id)"
        [ "$status" = 1 ]
        [[ "$output" == *"--console-socket $BATS_TEST_TMPDIR/$sock: "* ]]
        run drupe state "$(container_id)"
        [[ "$output" == *"does not exist"* ]]
    done
}

@test "console socket: a terminal needs one when the runtime does not stay, and only a terminal has one" {
    run drupe create --bundle "$BUNDLE" "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"--console-socket is needed"* ]]
    run drupe run --detach --bundle "$BUNDLE" "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"--console-socket is needed"* ]]
    config '.process.terminal = false'
    run drupe create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock" "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"process.terminal is false"* ]]
}

# ------------------------------------------------------------------------------------------------------------------------------ exec

@test "exec -t: size, session, control, owner, status" {
    config '.process.terminal = false'
    up
    terminal 33x99 -- "$RUNTIME" --root "$ROOT" exec -t --user 1000:1000 "$(container_id)" /probe tty , stat /dev/pts/0 , exit 4
    [[ "$output" == *"isatty 0 /dev/pts/0"*"size 33 99"*"onlcr 0"*"controlling 1"* ]]
    [[ "$output" == *"/dev/pts/0 type c mode 0620 uid 1000 gid 5"*"status 4"*"restored yes"* ]]
    down
}

@test "exec -t: a change of the window, ctrl-c, ctrl-d" {
    config '.process.terminal = false'
    up
    terminal 24x80 expect=ready size=9x8 -- "$RUNTIME" --root "$ROOT" exec -t "$(container_id)" /probe winch
    [[ "$output" == *"size 9 8"* ]]
    terminal 24x80 expect=ready 'send=\x03' -- "$RUNTIME" --root "$ROOT" exec -t "$(container_id)" /bin/sh -c 'echo ready; sleep 10'
    [[ "$output" == *"status 130"*"restored yes"* ]]
    terminal 24x80 expect=ready 'send=\x04' -- "$RUNTIME" --root "$ROOT" exec -t "$(container_id)" /bin/sh -c 'echo ready; cat; exit 6'
    [[ "$output" == *"status 6"* ]]
    down
}

@test "exec -t: in a container without devpts, without /dev, and with a read-only root" {
    config '.process.terminal = false | .root.readonly = true | .mounts |= map(select(.destination | startswith("/dev") | not))'
    up
    terminal 24x80 -- "$RUNTIME" --root "$ROOT" exec -t "$(container_id)" /bin/sh -c 'test -t 0 && test -t 1 && stty size && exit 8'
    [[ "$output" == *"24 80"*"status 8"* ]]
    down
}

@test "exec: a console socket gets the terminal, also of --process" {
    config '.process.terminal = false'
    up
    start_peer one console "$BATS_TEST_TMPDIR/sock1"
    detached exec --detach --tty --console-socket "$BATS_TEST_TMPDIR/sock1" "$(container_id)" /probe tty , echo first
    end_peer
    run -0 cat "$BATS_TEST_TMPDIR/one"
    [[ "$output" == *"descriptors 1"*"terminal 0"*"controlling 1"*"first"* ]]
    jq '.process | .terminal = true | .args = ["/probe", "tty", ",", "echo", "second"] | .consoleSize = {height: 5, width: 6}' \
        "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/process.json"
    start_peer two console "$BATS_TEST_TMPDIR/sock2"
    detached exec --detach --process "$BATS_TEST_TMPDIR/process.json" --console-socket "$BATS_TEST_TMPDIR/sock2" "$(container_id)"
    end_peer
    run -0 cat "$BATS_TEST_TMPDIR/two"
    [[ "$output" == *"descriptors 1"*"size 5 6"*"second"* ]]
    down
}

@test "exec: a terminal of a detached process needs a console socket, and its failure starts nothing" {
    config '.process.terminal = false'
    up
    inside --detach --tty /bin/touch /tmp/started
    [ "$status" = 255 ]
    [[ "$output" == *"needs a --console-socket"* ]]
    inside --detach --tty "--console-socket=$BATS_TEST_TMPDIR/none" "--pid-file=$BATS_TEST_TMPDIR/pid" /bin/touch /tmp/started
    [ "$status" = 255 ]
    [[ "$output" == *"--console-socket $BATS_TEST_TMPDIR/none: "* ]]
    inside --detach "--console-socket=$BATS_TEST_TMPDIR/none" /bin/touch /tmp/started
    [ "$status" = 255 ]
    [[ "$output" == *"has no terminal"* ]]
    [ ! -e "$BATS_TEST_TMPDIR/pid" ]
    [ ! -e "$BUNDLE/rootfs/tmp/started" ]
    down
}
