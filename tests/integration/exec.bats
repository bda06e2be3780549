#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# exec: its flags, what it takes from the container, what callers match in its errors.
load helpers
load inside

setup() {
    begin_test
    setup_bundle
}

teardown() { end_test; }

# process_file [JQ-OPTION]... PROGRAM: $PROCESS, made of the config's own process
process_file() {
    PROCESS=$BATS_TEST_TMPDIR/process.json
    jq '.process' "$BUNDLE/config.json" | jq "$@" >"$PROCESS"
}

@test "exit status: the program's, 128 and the signal, 255 for our own failure" {
    up
    inside /probe exit 0
    [ "$status" = 0 ]
    inside /probe exit 42
    [ "$status" = 42 ]
    inside /probe exit 255
    [ "$status" = 255 ]
    [ -z "$output" ]
    inside /probe signal 9
    [ "$status" = 137 ]
    inside /probe signal 15
    [ "$status" = 143 ]
    inside --no-such-flag /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"unknown flag"* ]]
    inside --user
    [ "$status" = 255 ]
    inside
    [ "$status" = 255 ]
    run drupe exec none-such /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"does not exist"* ]]
    down
}

@test "the program that cannot be executed: the words that callers match" {
    mkdir "$BUNDLE/rootfs/dir"
    echo text >"$BUNDLE/rootfs/bin/plain"
    printf '#!/no/interpreter\n' >"$BUNDLE/rootfs/bin/orphan"
    echo text >"$BUNDLE/rootfs/bin/garbage"
    chmod +x "$BUNDLE/rootfs/bin/orphan" "$BUNDLE/rootfs/bin/garbage"
    up
    local -A expected=(
        [missing]='exec: "missing": executable file not found in $PATH'
        [/missing]='stat /missing: no such file or directory'
        [./missing]='stat ./missing: no such file or directory'
        [plain]='exec: "plain": permission denied'
        [/bin/plain]='exec: "/bin/plain": permission denied'
        [/dir]='exec: "/dir": is a directory: permission denied'
        [/bin/plain/x]='stat /bin/plain/x: not a directory'
        [orphan]='exec: "orphan": its interpreter (of its #! line or ELF header) is missing: no such file or directory'
        [garbage]='exec: "garbage": exec format error'
        [dir]='exec: "dir": executable file not found in $PATH'
    )
    local name
    for name in "${!expected[@]}"; do
        inside "--pid-file=$BATS_TEST_TMPDIR/pid" -- "$name"
        [ "$status" = 255 ]
        [[ "$output" == *"${expected[$name]}" ]]
        [ ! -e "$BATS_TEST_TMPDIR/pid" ]
    done
    inside -- ''
    [ "$status" = 255 ]
    down
}

@test "create: the same words, before anything is started, and nothing is left" {
    mkdir "$BUNDLE/rootfs/dir"
    local -A expected=(
        [missing]='exec: "missing": executable file not found in $PATH'
        [/missing]='stat /missing: no such file or directory'
        [/dir]='exec: "/dir": is a directory: permission denied'
        [/etc/passwd]='exec: "/etc/passwd": permission denied'
        [/etc/passwd/x]='stat /etc/passwd/x: not a directory'
    )
    local name
    for name in "${!expected[@]}"; do
        args "$name"
        run drupe create --bundle "$BUNDLE" "$(container_id)"
        [ "$status" = 1 ]
        [[ "$output" == *"${expected[$name]}" ]]
        run drupe state "$(container_id)"
        [[ "$output" == *"does not exist"* ]]
    done
}

@test "flags: parsing stops at the container id" {
    up
    run drupe exec --env A=1 "$(container_id)" /probe echo --env B=2 -t --help --
    [ "$status" = 0 ]
    [ "$output" = '--env B=2 -t --help --' ]
    run drupe exec "$(container_id)" /probe echo -- words
    [ "$output" = '-- words' ]
    down
}

@test "flags: both --process and a command, or neither, is refused" {
    up
    process_file '.args = ["/bin/true"]'
    inside "--process=$PROCESS" /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"exclude each other"* ]]
    inside
    [ "$status" = 255 ]
    [[ "$output" == *"a command or --process is missing"* ]]
    down
}

@test "--process: everything comes from the file" {
    up
    process_file '.args = ["/probe", "ids", ",", "env", ",", "cwd", ",", "caps", ",", "nnp", ",", "rlimits", ",", "oom"]
        | .user = {uid: 1001, gid: 1002, additionalGids: [7, 8], umask: 63}
        | .env = ["PATH=/bin", "ONLY=this"] | .cwd = "/tmp" | .noNewPrivileges = true | .oomScoreAdj = 321
        | .rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 200}]
        | .capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"], inheritable: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"]}'
    inside "--process=$PROCESS"
    [ "$status" = 0 ]
    [[ "$output" == *"uid 1001 1001 1001"*"gid 1002 1002 1002"*"groups 7 8"*"umask 0077"* ]]
    [[ "$output" == *"ONLY=this"*"HOME=/"*"cwd /tmp"* ]]
    [[ "$output" == *"effective 0000000000000001"*"bounding 0000000000000001"*"ambient 0000000000000001"* ]]
    [[ "$output" == *"nnp 1"*"NOFILE 100 200"*"oom_score_adj 321"* ]]
    down
}

@test "--process: a FIFO, a directory, nothing, and what is no process are refused at once" {
    local f
    up
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    echo '{' >"$BATS_TEST_TMPDIR/cut"
    echo '{"args":["/bin/true"],"cwd":"/","user":{"uid":-1,"gid":0}}' >"$BATS_TEST_TMPDIR/minus"
    echo '{"args":[],"cwd":"/"}' >"$BATS_TEST_TMPDIR/noargs"
    echo '{"args":["/bin/true"],"cwd":"relative"}' >"$BATS_TEST_TMPDIR/relative"
    for f in fifo . missing cut minus noargs relative; do
        inside "--process=$BATS_TEST_TMPDIR/$f"
        [ "$status" = 255 ]
        [[ "$output" == *"--process"* ]]
    done
    down
}

@test "--detach: returns at once; the pid file holds the number alone, and only of a good start" {
    up
    detached exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)" /probe trap
    [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(printf %d "$(cat "$BATS_TEST_TMPDIR/pid")")" ]
    [ "$(tail -c 1 "$BATS_TEST_TMPDIR/pid" | tr -d 0-9)" = '' ]
    [ "$(readlink "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/root")" = / ]
    [ "$(tr '\0' ' ' <"/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cmdline")" = '/probe trap ' ]
    rm "$BATS_TEST_TMPDIR/pid"
    inside --detach "--pid-file=$BATS_TEST_TMPDIR/pid" -- /missing
    [ "$status" = 255 ]
    [ ! -e "$BATS_TEST_TMPDIR/pid" ]
    down
}

@test "--pid-file that cannot be written: an error, and the program does not stay" {
    up
    inside --detach "--pid-file=$BATS_TEST_TMPDIR/no/such/dir" /probe trap
    [ "$status" = 255 ]
    [[ "$output" == *"--pid-file"* ]]
    [ "$(drupe ps --format json "$(container_id)" | jq length)" = 1 ]
    down
}

@test "--env: over the config's, the last wins; HOME is filled in from passwd when it is missing or empty" {
    config '.process.env += ["COLOR=red", "KEPT=yes"]'
    up
    inside --env COLOR=green -e COLOR=blue -e EMPTY= /probe env
    [ "$(grep -c '^COLOR=' <<<"$output")" = 1 ]
    [[ "$output" == *"COLOR=blue"* ]]
    [[ "$output" == *"KEPT=yes"* ]]
    [[ "$output" == *"HOME=/root"* ]]
    grep -qx 'EMPTY=' <<<"$output"
    inside --user 1000 --env HOME= /probe env
    grep -qx 'HOME=/home' <<<"$output"
    inside --user 4242 /probe env
    grep -qx 'HOME=/' <<<"$output"
    inside --env HOME=/mine /probe env
    grep -qx 'HOME=/mine' <<<"$output"
    inside --env =x /probe env
    [ "$status" = 255 ]
    inside --env PATH=/nowhere -- ls
    [ "$status" = 255 ]
    [[ "$output" == *'executable file not found in $PATH'* ]]
    down
}

@test "--cwd: is where the program begins; relative, missing and outside are refused" {
    config '.process.cwd = "/etc"'
    up
    inside /probe cwd
    [ "$output" = 'cwd /etc' ]
    inside --cwd=/tmp /probe cwd
    [ "$output" = 'cwd /tmp' ]
    inside --cwd tmp /probe cwd
    [ "$status" = 255 ]
    inside --cwd=/missing /probe cwd
    [ "$status" = 255 ]
    [[ "$output" == *"/missing"*"No such file or directory"* ]]
    inside --cwd=/probe /probe cwd
    [ "$status" = 255 ]
    down
}

@test "--user: numbers, names, and groups" {
    echo '4711:x:0:0:trap:/:/bin/sh' >>"$BUNDLE/rootfs/etc/passwd"
    up
    local -A expected=(
        [0]='0 0' [1000]='1000 1000' [1000:5]='1000 5' [user]='1000 1000' [user:extra]='1000 2000' [user:7]='1000 7' [root:extra]='0 2000'
        [4711]='4711 0' [4294967294:4294967294]='4294967294 4294967294'
    )
    local user uid gid
    for user in "${!expected[@]}"; do
        read -r uid gid <<<"${expected[$user]}"
        inside --user "$user" /probe ids
        [ "$status" = 0 ]
        [ "${lines[0]}" = "uid $uid $uid $uid" ]
        [ "${lines[1]}" = "gid $gid $gid $gid" ]
    done
    down
}

@test "--user: a number without an entry keeps the group of the container" {
    config '.process.user = {uid: 1000, gid: 1000}'
    up
    inside --user 555 /probe ids
    [[ "$output" == *"uid 555 555 555"*"gid 1000 1000 1000"* ]]
    down
}

@test "--user: what is malformed is refused, and never root" {
    printf '%s\n' 'minus:x:-1:0::/:' 'huge:x:4294967296:0::/:' 'wrap:x:4294967295:0::/:' 'hex:x:0x0:0::/:' 'nogid:x:1:zero::/:' 'short:x' \
        >>"$BUNDLE/rootfs/etc/passwd"
    up
    local user
    for user in '' : :0 0: 1: -1 +0 ' 0' '0 ' 0x0 00x 4294967295 4294967296 18446744073709551616 1:4294967295 1:-1 0:0:0 root: user:none \
        none root:root:0 minus huge wrap hex nogid short $'0\n' 1.0 1e3; do
        run drupe exec "--user=$user" "$(container_id)" /probe ids
        [ "$status" = 255 ]
        [[ "$output" != *"uid "[0-9]* ]]
    done
    down
}

@test "--user: names from hostile passwd and group files neither block nor cost memory" {
    local etc=$BUNDLE/rootfs/etc make
    up
    for make in 'mkfifo passwd group' 'ln -s /proc/kcore passwd; ln -s /dev/zero group' 'truncate -s 1G passwd group' 'mkdir passwd group' \
        'ln -s passwd passwd; ln -s /etc/group group' 'mknod passwd c 1 5; mknod group c 1 5' ': >passwd; printf "x:\\n\\0\\0:::::\\n:\\n" >group'; do
        rm -rf "${etc:?}/passwd" "${etc:?}/group"
        (cd "$etc" && eval "$make")
        host_changed
        inside --user user /probe ids
        [ "$status" = 255 ]
        [[ "$output" == *'no user "user"'* ]]
        inside --user 7:user /probe ids
        [ "$status" = 255 ]
        [[ "$output" == *'no group "user"'* ]]
        inside --user 7:8 /probe ids , env
        [ "$status" = 0 ]
        [[ "$output" == *"uid 7 7 7"*"gid 8 8 8"*"HOME=/"* ]]
    done
    rm -rf "$etc/passwd"
    seq 1 100000 | awk '{ print "n" $1 ":x:" $1 ":5::/h:" }' >"$etc/passwd"
    host_changed
    inside --user n99999 /probe ids
    [ "$status" = 0 ]
    [[ "$output" == *"uid 99999 99999 99999"*"gid 5 5 5"* ]]
    down
}

@test "--additional-gids: added to those of the config; what is no number is refused" {
    local gids
    config '.process.user.additionalGids = [3]'
    up
    inside /probe ids
    grep -qx 'groups 3' <<<"$output"
    inside --additional-gids 10,20 -g 30 /probe ids
    grep -qx 'groups 3 10 20 30' <<<"$output"
    for gids in -1 x '1,' ',1' 4294967295 '1 2'; do
        inside "--additional-gids=$gids" /probe ids
        [ "$status" = 255 ]
    done
    down
}

@test "--preserve-fds: exactly those, and none without" {
    up
    run bash -c '"$@" 3<"$0" 4</dev/null 5</dev/null' "$BUNDLE/config.json" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec --preserve-fds 2 "$(container_id)" /probe fds
    [ "$status" = 0 ]
    [ "$(awk '$1 > 2 { print $1 }' <<<"$output" | sort -n | tr '\n' ' ')" = '3 4 ' ]
    run bash -c '"$@" 3<"$0" 4</dev/null 5</dev/null' "$BUNDLE/config.json" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe fds
    [ "$(awk '$1 > 2 { print $1 }' <<<"$output")" = '' ]
    down
}

@test "--pidfd-socket: the pidfd of the program, and the word setns" {
    up
    start_peer pidfd pidfd "$BATS_TEST_TMPDIR/sock"
    detached exec --detach --pidfd-socket "$BATS_TEST_TMPDIR/sock" --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)" /probe trap
    end_peer
    run -0 cat "$BATS_TEST_TMPDIR/pidfd"
    [[ "$output" == *"payload 5 setns"*"descriptors 1"*"pidfd $(cat "$BATS_TEST_TMPDIR/pid")"* ]]
    inside "--pidfd-socket=$BATS_TEST_TMPDIR/none" /probe trap
    [ "$status" = 255 ]
    [[ "$output" == *"--pidfd-socket"* ]]
    [ "$(drupe ps --format json "$(container_id)" | jq length)" = 2 ]
    down
}

@test "--cgroup: below the container's own, which it may not leave" {
    up
    local dir below line
    while IFS= read -r line; do
        case $line in
        0::/*) dir=/sys/fs/cgroup/${line#0::/} ;;
        *:pids:* | *:memory:*) dir=/sys/fs/cgroup/$(cut -d: -f2 <<<"$line")$(cut -d: -f3 <<<"$line") ;;
        *) continue ;;
        esac
        [ ! -d "$dir" ] || break
        dir=/sys/fs/cgroup/unified/${line#0::/}
        [ ! -d "$dir" ] || break
        dir=
    done <"/proc/$(init_pid)/cgroup"
    [ -d "$dir" ]
    mkdir "$dir/below"
    detached exec --detach --cgroup below --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)" /probe trap
    grep -q '/below$' "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup"
    for below in ../.. below/../../x /.. nothere nonsense:below pids:../x pids:/nothere; do
        inside "--cgroup=$below" /probe exit 0
        [ "$status" = 255 ]
    done
    down
}

@test "--cgroup: by controller, repeated" {
    local dir=/sys/fs/cgroup/pids freezer=/sys/fs/cgroup/freezer
    [ -d "$dir" ] && [ -d "$freezer" ] || skip 'needs cgroup v1 hierarchies of pids and freezer'
    up
    dir+=$(sed -n 's/^[0-9]*:pids://p' "/proc/$(init_pid)/cgroup")
    freezer+=$(sed -n 's/^[0-9]*:freezer://p' "/proc/$(init_pid)/cgroup")
    mkdir "$dir/one" "$freezer/two"
    detached exec --detach --cgroup pids:one --cgroup=freezer:/two --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)" /probe trap
    [[ "$(sed -n 's/^[0-9]*:pids://p' "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup")" == */one ]]
    [[ "$(sed -n 's/^[0-9]*:freezer://p' "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup")" == */two ]]
    # The others: where the container is.
    diff <(grep -v ':pids:\|:freezer:' "/proc/$(init_pid)/cgroup") \
        <(grep -v ':pids:\|:freezer:' "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup")
    inside --cgroup freezer:one /probe exit 0
    [ "$status" = 255 ]
    down
}

@test "the program is in the container's cgroups" {
    up
    detached exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)" /probe trap
    diff "/proc/$(init_pid)/cgroup" "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup"
    down
}

# is_in_its_namespaces: $output of `/probe ns` names those of the container's init
is_in_its_namespaces() {
    local ns pid
    pid=$(init_pid)
    for ns in pid net ipc uts mnt cgroup user time; do
        [ -e "/proc/self/ns/$ns" ] || continue
        grep -qxF "$ns $(readlink "/proc/$pid/ns/$ns")" <<<"$output"
    done
}

@test "the program is in every namespace of the container" {
    up
    inside /probe ns
    is_in_its_namespaces
    down
}

@test "the program is in the namespaces that the container shares with its creator, wherever exec is called" {
    config '.linux.namespaces |= map(select(.type != "uts" and .type != "ipc")) | del(.hostname)'
    up
    run unshare --uts --ipc "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe ns
    is_in_its_namespaces
    down
}

@test "a config.json changed after create has no influence" {
    config '.process.capabilities = {} | .process.noNewPrivileges = true | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 77, hard: 78}]
        | .process.env += ["WHOSE=created"]'
    created
    config '.process.noNewPrivileges = false | .process.rlimits = [] | .process.env = ["WHOSE=changed"]
        | .process.capabilities = {bounding: ["CAP_SYS_ADMIN"], permitted: ["CAP_SYS_ADMIN"], effective: ["CAP_SYS_ADMIN"]}'
    inside /probe caps , nnp , rlimits , env
    [[ "$output" == *"permitted 0000000000000000"*"bounding 0000000000000000"*"nnp 1"*"NOFILE 77 78"*"WHOSE=created"* ]]
    rm "$BUNDLE/config.json"
    drupe start "$(container_id)"
    inside /probe caps , nnp
    [[ "$output" == *"bounding 0000000000000000"*"nnp 1"* ]]
    down
}

@test "a created container takes exec, a stopped one does not" {
    created
    inside /probe ids , exit 5
    [ "$status" = 5 ]
    drupe start "$(container_id)"
    drupe kill "$(container_id)" KILL
    is_stopped() { [ "$(drupe state "$(container_id)" | jq -r .status)" = stopped ]; }
    wait_for 5 is_stopped
    inside /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"container not running"* ]]
    down
}

@test "a paused container refuses exec; with --ignore-paused it waits until it is resumed" {
    up
    drupe pause "$(container_id)"
    inside /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"cannot exec in a paused container"* ]]
    drupe exec --ignore-paused "$(container_id)" /probe exit 9 </dev/null >/dev/null 2>&1 & local pid=$!
    # It has come as far as it gets when the container's cgroup has one process more.
    is_inside() { [ "$(drupe ps --format json "$(container_id)" | jq length)" -gt 1 ]; }
    wait_for 5 is_inside
    drupe resume "$(container_id)"
    local code=0
    wait "$pid" || code=$?
    [ "$code" = 9 ]
    down
}

@test "foreground: input, output, and signals are passed on" {
    up
    run bash -c 'echo words | "$@"' bash "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe echo-stdin
    [ "$output" = words ]
    "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe trap >"$BATS_TEST_TMPDIR/trap" 2>&1 </dev/null 3>&- & local job=$!
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/trap"
    kill -USR1 "$job"
    wait_for 5 grep -q 'signal 10' "$BATS_TEST_TMPDIR/trap"
    kill -TERM "$job"
    wait "$job"
    grep -q 'signal 15' "$BATS_TEST_TMPDIR/trap"
    down
}

@test "killed in the foreground, exec leaves the program running, and delete ends it" {
    up
    "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe trap >"$BATS_TEST_TMPDIR/trap" 2>&1 </dev/null 3>&- & local job=$!
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/trap"
    kill -KILL "$job"
    wait "$job" || true
    [ "$(drupe ps --format json "$(container_id)" | jq length)" = 2 ]
    down
}

@test "execCPUAffinity: final is where the program runs, without it all CPUs of the container" {
    up
    process_file '.args = ["/probe", "sched"] | .execCPUAffinity = {initial: "0", final: "0"}'
    inside "--process=$PROCESS"
    grep -qx 'cpus 0' <<<"$output"
    run taskset 1 "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" exec "$(container_id)" /probe sched
    [ "$(grep '^cpus' <<<"$output")" = "cpus $(seq -s ' ' 0 $(($(nproc --all) - 1)))" ]
    process_file '.args = ["/probe", "sched"] | .execCPUAffinity = {initial: "9999"}'
    inside "--process=$PROCESS"
    [ "$status" = 255 ]
    down
}

@test "fifty at a time, all with their own status" {
    up
    local i pids=() bad=0
    for i in $(seq 50); do
        detached exec "$(container_id)" /probe exit "$i" &
        pids[i]=$!
    done
    for i in $(seq 50); do
        local code=0
        wait "${pids[i]}" || code=$?
        [ "$code" = "$i" ] || bad=$((bad + 1))
    done
    [ "$bad" = 0 ]
    [ "$(drupe ps --format json "$(container_id)" | jq length)" = 1 ]
    down
}

@test "--preserve-fds of a descriptor that is not open is an error, and never one of our own" {
    up
    for n in 1 2 3 4; do
        inside --preserve-fds "$n" /probe fds
        [ "$status" -eq 255 ]
        [[ "$output" == *'descriptor 3 is not open'* ]]
    done
    down
}
