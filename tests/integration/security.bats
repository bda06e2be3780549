#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# What a process may do: identity, capabilities, limits, seccomp; and that nothing of the runtime can be reached from inside.
load helpers
load inside

setup() {
    begin_test
    setup_bundle
}

teardown() { end_test; }

# caps_are INHERITABLE PERMITTED EFFECTIVE BOUNDING AMBIENT: of /probe caps in $output, hexadecimal without leading zeroes
caps_are() {
    local name
    for name in inheritable permitted effective bounding ambient; do
        [ "$(awk -v n="$name" '$1 == n { print $2 }' <<<"$output")" = "$(printf '%016x' "0x$1")" ] || {
            echo "$name is not $1:"
            echo "$output"
            return 1
        }
        shift
    done
}

# seccomp JSON: the profile, without which nothing of docker_like is needed
seccomp() { config --argjson s "$1" '.linux.seccomp = $s'; }

is_stopped() { [ "$(drupe state "$(container_id)" | jq -r .status)" = stopped ]; }

# allow_but SYSCALL-JSON...: everything is allowed but the given rules
allow_but() { seccomp "$(jq -n --argjson s "[$(IFS=, && echo "$*")]" '{defaultAction: "SCMP_ACT_ALLOW", syscalls: $s}')"; }

# ---------------------------------------------------------------------------------------------------------------------- capabilities

# chown 1, dac_override 2, kill 20 (hex), net_bind_service 400 (hex)
set_caps() {
    config '.process.capabilities = {bounding: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
        permitted: ["CAP_CHOWN", "CAP_KILL"], effective: ["CAP_CHOWN"], inheritable: ["CAP_KILL"], ambient: ["CAP_KILL"]}'
}

@test "capabilities: all five sets, for root with no_new_privs, by run and by exec" {
    set_caps
    args /probe caps
    run_container
    # Without a file's help root gets no more than it had: permitted; ambient is dropped by the rules for root's execve
    caps_are 20 21 21 423 20
    up
    inside /probe caps
    caps_are 20 21 21 423 20
    down
}

@test "capabilities: all five sets, for root without no_new_privs: execve gives root the bounding set" {
    set_caps
    config '.process.noNewPrivileges = false'
    args /probe caps
    run_container
    caps_are 20 423 423 423 20
    up
    inside /probe caps
    caps_are 20 423 423 423 20
    down
}

@test "capabilities: all five sets, for another user: what is ambient remains, with and without no_new_privs" {
    local nnp
    set_caps
    for nnp in true false; do
        config --argjson nnp "$nnp" '.process.noNewPrivileges = $nnp | .process.user = {uid: 1000, gid: 1000}'
        args /probe caps
        run_container
        caps_are 20 20 20 423 20
        up
        inside /probe caps
        caps_are 20 20 20 423 20
        inside --user 0:0 /probe caps
        [ "$nnp" = true ] && caps_are 20 21 21 423 20 || caps_are 20 423 423 423 20
        down
    done
}

@test "capabilities: none are none, in every combination" {
    local nnp uid
    config '.process.capabilities = {}'
    for nnp in true false; do
        for uid in 0 1000; do
            config --argjson nnp "$nnp" --argjson uid "$uid" '.process.noNewPrivileges = $nnp | .process.user = {uid: $uid, gid: $uid}'
            args /probe caps
            run_container
            caps_are 0 0 0 0 0
        done
    done
    config 'del(.process.capabilities)'
    run_container
    caps_are 0 0 0 0 0
}

@test "capabilities: exec --cap adds to bounding, effective and permitted, and never to inheritable" {
    set_caps
    up
    inside --cap CAP_SYS_PTRACE /probe caps
    caps_are 20 80021 80021 80423 20
    inside --cap CAP_SYS_PTRACE --user 1000:1000 /probe caps
    caps_are 20 20 20 80423 20
    inside --cap CAP_NO_SUCH /probe caps
    [ "$status" = 255 ]
    [[ "$output" == *"unknown capability"* ]]
    down
    config '.process.capabilities.inheritable = ["CAP_KILL", "CAP_CHOWN"] | .process.user = {uid: 1000, gid: 1000}'
    up
    inside --cap CAP_CHOWN /probe caps
    caps_are 21 21 21 423 21
    down
}

@test "capabilities: unknown ones are warned of and left out" {
    config '.process.capabilities.bounding += ["CAP_FUTURE"] | .process.capabilities.permitted = ["CAP_CHOWN"] | .process.capabilities.effective = ["CAP_CHOWN", "CAP_KILL"]'
    args /probe caps
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"CAP_FUTURE"* ]]
    [ "$(awk '$1 == "effective" { print $2 }' <<<"$output")" = 0000000000000001 ]
}

# ------------------------------------------------------------------------------------------------------------------ process attributes

@test "no_new_privs: as the config says, by run and exec; exec --no-new-privs adds it" {
    args /probe nnp
    run_container
    [ "$output" = 'nnp 1' ]
    config '.process.noNewPrivileges = false'
    run_container
    [ "$output" = 'nnp 0' ]
    up
    inside /probe nnp
    [ "$output" = 'nnp 0' ]
    inside --no-new-privs /probe nnp
    [ "$output" = 'nnp 1' ]
    down
}

@test "rlimits: exactly those of the config, soft and hard, by run and exec; the others are as the caller has them" {
    config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 33, hard: 44}, {type: "RLIMIT_CORE", soft: 0, hard: 0},
        {type: "RLIMIT_AS", soft: 55555555555, hard: 66666666666}, {type: "RLIMIT_STACK", soft: 1048576, hard: 2097152},
        {type: "RLIMIT_NPROC", soft: 1000, hard: 1000}, {type: "RLIMIT_RTTIME", soft: 12345, hard: 23456}]'
    args /probe rlimits
    local fsize
    fsize=$(ulimit -f)
    run_container
    up
    local first=$output
    inside /probe rlimits
    [ "$output" = "$first" ]
    down
    local line
    for line in 'NOFILE 33 44' 'CORE 0 0' 'AS 55555555555 66666666666' 'STACK 1048576 2097152' 'NPROC 1000 1000' 'RTTIME 12345 23456'; do
        grep -qx "$line" <<<"$first"
    done
    [ "$fsize" != unlimited ] || grep -qx 'FSIZE unlimited unlimited' <<<"$first"
}

@test "rlimits: few descriptors for the process do not hinder many mounts" {
    config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 8, hard: 8}]
        | .mounts += [range(20) | { destination: "/m/\(.)", type: "bind", source: "rootfs/etc", options: ["bind", "ro"] }]'
    args /bin/sh -c 'ulimit -n; ls /m | wc -l'
    run_container
    [ "$status" = 0 ]
    [ "$output" = $'8\n20' ]
}

@test "rlimits: all bits set are no limit" {
    config '.process.rlimits = [{type: "RLIMIT_STACK", soft: 4242424, hard: 4242424}]'
    args /probe rlimits
    sed -i 's/4242424/18446744073709551615/g' "$BUNDLE/config.json" # jq would round it
    run_container
    grep -qx 'STACK unlimited unlimited' <<<"$output"
}

@test "rlimits: twice the same, unknown, and soft above hard are refused" {
    local bad
    for bad in '[{"type":"RLIMIT_CPU","soft":1,"hard":1},{"type":"RLIMIT_CPU","soft":1,"hard":1}]' '[{"type":"RLIMIT_X","soft":1,"hard":1}]' \
        '[{"type":"RLIMIT_CPU","soft":2,"hard":1}]' '[{"type":"RLIMIT_CPU","soft":-1,"hard":1}]' '[{"type":"rlimit_cpu","soft":1,"hard":1}]'; do
        config --argjson l "$bad" '.process.rlimits = $l'
        run_container
        [ "$status" = 1 ]
        [[ "$output" == *"rlimits"* ]]
    done
}

@test "oomScoreAdj: absent leaves the caller's" {
    args /probe oom
    echo 123 >"/proc/$BASHPID/oom_score_adj"
    run_container
    [ "$output" = 'oom_score_adj 123' ]
}

@test "oomScoreAdj: zero is a value, exec has the config's" {
    args /probe oom
    echo 123 >"/proc/$BASHPID/oom_score_adj"
    config '.process.oomScoreAdj = 0'
    run_container
    [ "$output" = 'oom_score_adj 0' ]
    config '.process.oomScoreAdj = 777'
    up
    inside --user 1000:1000 /probe oom
    [ "$output" = 'oom_score_adj 777' ]
    down
    args /probe oom
    if (echo -1000 >"/proc/$BASHPID/oom_score_adj") 2>/dev/null; then
        config '.process.oomScoreAdj = -1000'
        run_container
        [ "$output" = 'oom_score_adj -1000' ]
    fi
    config '.process.oomScoreAdj = 1001'
    run_container
    [ "$status" = 1 ]
}

@test "scheduler: nice of SCHED_BATCH, SCHED_IDLE, and what makes no sense is refused" {
    config '.process.scheduler = {policy: "SCHED_BATCH", nice: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
    args /probe sched
    run_container
    [[ "$output" == *"policy 3"*"flags 1"*"nice 7"* ]]
    config '.process.scheduler = {policy: "SCHED_IDLE"}'
    run_container
    [[ "$output" == *"policy 5"* ]]
    local bad
    for bad in '{"policy":"SCHED_OTHER","nice":20}' '{"policy":"SCHED_OTHER","priority":1}' '{"policy":"SCHED_FIFO"}' '{"policy":"SCHED_NONE"}' \
        '{"policy":"SCHED_OTHER","runtime":5}' '{"policy":"SCHED_OTHER","flags":["X"]}' '{"policy":"SCHED_DEADLINE","runtime":2,"deadline":1}'; do
        config --argjson s "$bad" '.process.scheduler = $s'
        run_container
        [ "$status" = 1 ]
        [[ "$output" == *"scheduler"* ]]
    done
}

@test "scheduler: real time priority where the host lets us" {
    chrt -f 1 true 2>/dev/null || skip "no real-time scheduling here"
    config '.process.scheduler = {policy: "SCHED_FIFO", priority: 3}'
    args /probe sched
    run_container
    [ "$status" = 0 ] || skip "refused in a cgroup of this host: $output"
    [[ "$output" == *"policy 1"*"priority 3"* ]]
}

@test "ioPriority: of the first process, not inherited by exec unless its process has one" {
    config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
    args /probe ioprio
    run_container
    [ "$output" = 'ioprio class 2 level 6' ]
    up
    inside /probe ioprio
    [ "$output" != 'ioprio class 2 level 6' ]
    jq '.process | .args = ["/probe", "ioprio"] | .ioPriority = {class: "IOPRIO_CLASS_IDLE", priority: 0}' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/p"
    inside "--process=$BATS_TEST_TMPDIR/p"
    [ "$output" = 'ioprio class 3 level 0' ]
    down
}

@test "memoryPolicy: by run and exec" {
    [ -e /sys/devices/system/node/node0 ] || skip "no NUMA"
    config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}'
    args /probe mempolicy
    run_container
    [ "$output" = 'mempolicy mode 0x2 nodes 0x1' ]
    up
    inside /probe mempolicy
    [ "$output" = 'mempolicy mode 0x2 nodes 0x1' ]
    down
}

@test "personality: 32-bit names for a 64-bit kernel, by run and exec" {
    config '.linux.personality = {domain: "LINUX32"}'
    args /probe personality , host
    run_container
    # Not every kernel goes by it in what it says of itself (User Mode Linux does not).
    [[ "$output" == *"personality 0x8"*"machine $(setarch linux32 uname -m)"* ]]
    up
    inside /probe personality
    [ "$output" = 'personality 0x8' ]
    down
}

@test "ids: groups exactly as listed, umask 0022 unless given" {
    args /probe ids
    (umask 0077 && drupe run --bundle "$BUNDLE" "$(container_id)") >"$BATS_TEST_TMPDIR/ids" 2>&1
    grep -qx 'umask 0022' "$BATS_TEST_TMPDIR/ids"
    grep -qx 'groups' "$BATS_TEST_TMPDIR/ids"
    config '.process.user = {uid: 12, gid: 34, umask: 0, additionalGids: [34, 4294967294, 5]}'
    run_container
    [[ "$output" == *"uid 12 12 12"*"gid 34 34 34"*"umask 0000"* ]]
    [ "$(grep ^groups <<<"$output" | tr ' ' '\n' | sort -n | tr '\n' ' ')" = 'groups 5 34 4294967294 ' ]
}

@test "ids: what is no id is refused, by run and by exec --process" {
    local bad
    up
    for bad in '{"uid":4294967295,"gid":0}' '{"uid":4294967296,"gid":0}' '{"uid":-1,"gid":0}' '{"uid":1.5,"gid":0}' '{"uid":"0","gid":0}' \
        '{"uid":true,"gid":0}' '{"uid":null,"gid":4294967295}' '{"uid":0,"gid":-1}' '{"uid":1,"gid":1,"additionalGids":[4294967295]}' \
        '{"uid":1,"gid":1,"additionalGids":[-1]}' '{"uid":1,"gid":1,"additionalGids":["0"]}' '{"uid":1,"gid":1,"umask":512}' '[]' '0'; do
        config --argjson u "$bad" '.process.user = $u | .process.args = ["/probe", "ids"]'
        run drupe run --bundle "$BUNDLE" "$(container_id bad)"
        [ "$status" = 1 ]
        [[ "$output" != *"uid "[0-9]* ]]
        jq .process "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/p"
        inside "--process=$BATS_TEST_TMPDIR/p"
        [ "$status" = 255 ]
        [[ "$output" != *"uid "[0-9]* ]]
    done
    down
}

@test "session keyring: a new one by run and exec, the caller's with --no-new-keyring" {
    [ -e /proc/keys ] || skip "no keys here"
    local mine id
    id=$(container_id)
    args /probe keyring
    mine=$(/probe keyring 2>/dev/null || "$PROBE" keyring)
    run_container
    [[ "$output" == *"_ses.$id"* ]]
    run_container --no-new-keyring
    [ "${output#*;}" = "${mine#*;}" ]
    up
    inside /probe keyring
    [[ "$output" == *"_ses.$id"* ]]
    down
    up --no-new-keyring
    inside /probe keyring
    [[ "$output" != *"_ses.$id"* ]]
    down
}

@test "signals: whatever the caller ignores and blocks, the program begins with the defaults" {
    args /probe mask
    local ignoring='import os, signal, sys
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGHUP])
os.execv(sys.argv[1], sys.argv[1:])'
    run timeout "$DRUPE_TIMEOUT" python3 -c "$ignoring" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$(container_id)" 3>&-
    [ "$status" = 0 ]
    [ "${lines[0]}" = 'blocked' ]
    [ "${lines[1]}" = 'ignored' ]
    up
    run timeout "$DRUPE_TIMEOUT" python3 -c "$ignoring" "$RUNTIME" --root "$ROOT" exec "$(container_id)" /probe mask , exit 5 3>&-
    [ "$status" = 5 ]
    [ "${lines[0]}" = 'blocked' ]
    [ "${lines[1]}" = 'ignored' ]
    down
}

# --------------------------------------------------------------------------------------------------------------------------- seccomp

@test "seccomp: allow, errno with its value, the default's value; run and exec" {
    allow_but '{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}' '{"names":["rmdir"],"action":"SCMP_ACT_ERRNO","errnoRet":33}'
    args /probe syscall 83 @/tmp/x 0 , syscall 84 @/tmp/x , seccomp , syscall 39
    run_container
    [[ "$output" == *"result error EPERM"*"result error EDOM"*"mode 2"*"result 1" ]]
    up
    inside /probe syscall 83 @/tmp/x 0 , syscall 84 @/tmp/x , seccomp
    [[ "$output" == *"result error EPERM"*"result error EDOM"*"mode 2"* ]]
    down
}

# deny_but NAME...: a profile that allows the named calls and what a static program needs
deny_but() {
    seccomp "$(jq -n --args '{defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 34, syscalls: [{action: "SCMP_ACT_ALLOW", names: ($ARGS.positional +
        ["execve", "exit_group", "exit", "write", "writev", "read", "brk", "mmap", "munmap", "ioctl", "arch_prctl", "set_tid_address", "getpid"])}]}' -- "$@")"
}

@test "seccomp: what is not listed gets the default's errno, what is newer than the profile ENOSYS" {
    deny_but openat2
    args /probe syscall 83 @/tmp/x 0 , syscall 437 0 0 0 0 , syscall 438 0 0 0 , syscall 462 0 , syscall 1000
    run_container
    [ "$status" = 0 ]
    [ "${lines[0]}" = 'result error ERANGE' ]
    [[ "${lines[1]}" != *ENOSYS ]]
    [ "${lines[2]}" = 'result error ENOSYS' ]
    [ "${lines[3]}" = 'result error ENOSYS' ]
    [ "${lines[4]}" = 'result error ENOSYS' ]
}

@test "seccomp: kill and trap end the program by SIGSYS, run and exec" {
    local action
    for action in KILL KILL_THREAD KILL_PROCESS TRAP; do
        allow_but "{\"names\":[\"mkdir\"],\"action\":\"SCMP_ACT_$action\"}"
        args /probe echo before , syscall 83 @/tmp/x 0 , echo after
        run_container
        [ "$status" = 159 ]
        [[ "$output" != *after* ]]
    done
    up
    inside /probe syscall 83 @/tmp/x 0
    [ "$status" = 159 ]
    down
}

@test "seccomp: arguments are compared with all their 64 bits, masked, and together" {
    allow_but '{"names":["sethostname"],"action":"SCMP_ACT_ERRNO","errnoRet":33,"args":[{"index":1,"value":4294967296,"op":"SCMP_CMP_EQ"}]}' \
        '{"names":["setdomainname"],"action":"SCMP_ACT_ERRNO","errnoRet":33,"args":[{"index":1,"value":240,"valueTwo":16,"op":"SCMP_CMP_MASKED_EQ"}]}' \
        '{"names":["alarm"],"action":"SCMP_ACT_ERRNO","errnoRet":33,"args":[{"index":0,"value":5,"op":"SCMP_CMP_GT"},{"index":1,"value":7,"op":"SCMP_CMP_LE"}]}'
    args /probe syscall 170 0 4294967296 , syscall 170 0 0 , syscall 171 0 0x11f , syscall 171 0 0x10f , syscall 37 6 7 , syscall 37 5 7 , syscall 37 6 8
    run_container
    [ "$(cut -d' ' -f2- <<<"$output" | tr '\n' ' ')" = 'error EDOM error EPERM error EDOM error EPERM error EDOM 0 5 ' ]
}

@test "seccomp: an index given twice means either" {
    allow_but '{"names":["alarm"],"action":"SCMP_ACT_ERRNO","errnoRet":33,"args":[{"index":0,"value":3,"op":"SCMP_CMP_EQ"},{"index":0,"value":5,"op":"SCMP_CMP_EQ"}]}'
    args /probe syscall 37 3 , syscall 37 5 , syscall 37 4
    run_container
    [ "$output" = $'result error EDOM\nresult error EDOM\nresult 0' ]
}

@test "seccomp: calls by the x32 and the 32-bit door are killed unless their architecture is listed" {
    [ "$(uname -m)" = x86_64 ] || skip "x86_64 only"
    allow_but '{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}'
    args /probe syscall $((0x40000000 + 39))
    run_container
    [ "$status" = 159 ]
    # Without 32-bit programs a kernel has no such door, or one that leads elsewhere (User Mode Linux).
    run "$PROBE" syscall32 20
    [[ "$output" =~ ^result\ [0-9]+$ ]] || return 0
    args /probe syscall32 20
    run_container
    [ "$status" = 159 ]
    config '.linux.seccomp.architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]'
    args /probe syscall32 20 , syscall32 39 0 0
    run_container
    [ "$status" = 0 ]
    [ "$output" = $'result 1\nresult error EPERM' ]
}

@test "seccomp: flags: absent leaves speculation alone, [] asks for the mitigation; unknown ones are refused" {
    allow_but '{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}'
    args /probe read /proc/self/status
    run_container
    local before
    before=$(grep '^Speculation_Store_Bypass' /proc/self/status)
    [ "$(grep '^Speculation_Store_Bypass' <<<"$output")" = "$before" ]
    config '.linux.seccomp.flags = []'
    run_container
    [ "$status" = 0 ]
    config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]'
    run_container
    [ "$status" = 0 ]
    config '.linux.seccomp.flags = ["SECCOMP_FILTER_FLAG_FUTURE"]'
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"linux.seccomp.flags"* ]]
}

@test "seccomp: {} is no filter; a wrong profile is refused, never skipped" {
    seccomp '{}'
    args /probe seccomp
    run_container
    [ "${lines[0]}" = 'mode 0' ]
    local bad
    for bad in '{"defaultAction":"SCMP_ACT_NONE"}' '{"syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}' '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["X86"]}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"X"}]}' '{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","args":[{"index":0,"value":0,"op":"EQ"}]}]}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":4096}]}' \
        '{"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/x"}' '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_NOTIFY"}]}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x","syscalls":[{"names":["write"],"action":"SCMP_ACT_NOTIFY"}]}' \
        '{"defaultAction":"SCMP_ACT_ALLOW","listenerMetadata":"x"}'; do
        seccomp "$bad"
        run_container
        [ "$status" = 1 ]
        [[ "$output" == *"linux.seccomp"* ]]
    done
}

@test "seccomp: without no_new_privs the filter is loaded while that is still allowed, also for another user" {
    deny_but prctl setgroups setresgid setresuid capset capget rt_sigprocmask
    config '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}'
    args /probe seccomp , nnp , caps , syscall 83 @/tmp/x 0
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"mode 2"*"nnp 0"*"effective 0000000000000000"*"result error ERANGE"* ]]
    up
    inside --user 1000:1000 /probe seccomp , nnp , syscall 83 @/tmp/x 0
    [[ "$output" == *"mode 2"*"nnp 0"*"result error ERANGE"* ]]
    down
}

@test "seccomp: without no_new_privs a profile that forbids giving up privileges fails the start, by the step's name" {
    deny_but
    config '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}'
    args /probe seccomp
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"Result not representable"* || "$output" == *"out of range"* || "$output" == *"capab"* ]]
}

@test "seccomp: a profile that forbids execve, and even saying so, is an error of run and exec, and nothing hangs" {
    local action
    for action in SCMP_ACT_ERRNO SCMP_ACT_KILL; do
        seccomp "{\"defaultAction\":\"$action\",\"syscalls\":[{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_ALLOW\"}]}"
        args /bin/true
        run_container
        [ "$status" = 1 ]
        [[ "$output" == *"was not executed"* ]]
        created
        inside /bin/true
        [ "$status" = 255 ]
        [[ "$output" == *"was not executed"* ]]
        # start is not the parent, and may come too late to see it
        run drupe start "$(container_id)"
        wait_for 5 is_stopped
        down
    done
}

@test "seccomp: a profile that forbids execve alone fails with the reason" {
    allow_but '{"names":["execve"],"action":"SCMP_ACT_ERRNO","errnoRet":1}'
    args /bin/true
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *'exec: "/bin/true": operation not permitted'* ]]
}

# ------------------------------------------------------------------------------------------------------------------ seccomp listeners

notify_config() {
    config --arg sock "$1" '.annotations = {"a/b": "c"} | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $sock, listenerMetadata: "meta data",
        syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}'
}

# listener_got NAME STATUS: one JSON of the right form, one descriptor, and the call
listener_got() {
    local json
    json=$(sed -n 's/^payload [0-9]* //p' "$BATS_TEST_TMPDIR/$1")
    jq -e --arg id "$(container_id)" --arg bundle "$BUNDLE" --arg status "$2" '.ociVersion == "1.3.0" and .fds == ["seccompFd"] and .pid > 1
        and .metadata == "meta data" and .state.id == $id and .state.status == $status and .state.bundle == $bundle
        and .state.annotations == {"a/b": "c"} and .state.pid > 1' <<<"$json"
    grep -qx 'descriptors 1' "$BATS_TEST_TMPDIR/$1"
    grep -qx 'call 83' "$BATS_TEST_TMPDIR/$1"
}

@test "seccomp notify: run: the listener gets the state, and its answer is the program's result" {
    notify_config "$BATS_TEST_TMPDIR/sock"
    start_peer run seccomp "$BATS_TEST_TMPDIR/sock" 33
    args /probe syscall 83 @/tmp/x 0
    run_container
    [ "$output" = 'result error EDOM' ]
    end_peer
    listener_got run created
}

@test "seccomp notify: create and start, and exec each with a listener of its own" {
    notify_config "$BATS_TEST_TMPDIR/sock1"
    start_peer start seccomp "$BATS_TEST_TMPDIR/sock1" 33
    args /bin/sh -c 'mkdir /tmp/x 2>/tmp/out; exec /probe trap'
    detached create --bundle "$BUNDLE" "$(container_id)"
    drupe start "$(container_id)"
    wait_for 5 grep -q 'Numerical\|domain' "$BUNDLE/rootfs/tmp/out"
    local first=$PEER_PID
    rm "$BATS_TEST_TMPDIR/sock1"
    start_peer exec seccomp "$BATS_TEST_TMPDIR/sock1" 34
    inside /probe syscall 83 @/tmp/x 0
    [ "$output" = 'result error ERANGE' ]
    end_peer
    listener_got exec running
    down
    wait "$first"
    listener_got start created
}

@test "seccomp notify: without no_new_privs, too" {
    notify_config "$BATS_TEST_TMPDIR/sock"
    config '.process.noNewPrivileges = false'
    start_peer run seccomp "$BATS_TEST_TMPDIR/sock" 33
    args /probe syscall 83 @/tmp/x 0
    run_container
    [ "$output" = 'result error EDOM' ]
    end_peer
}

@test "seccomp notify: a listener for execve itself" {
    config --arg sock "$BATS_TEST_TMPDIR/sock" '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $sock,
        syscalls: [{names: ["execve"], action: "SCMP_ACT_NOTIFY"}]}'
    start_peer run seccomp "$BATS_TEST_TMPDIR/sock"
    args /probe exit 6
    run_container
    [ "$status" = 6 ]
    end_peer
    grep -qx 'call 59' "$BATS_TEST_TMPDIR/run"
}

@test "seccomp notify: a missing listener is a clear error of run, start and exec, and nothing is left" {
    notify_config "$BATS_TEST_TMPDIR/sock"
    args /bin/true
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"linux.seccomp.listenerPath $BATS_TEST_TMPDIR/sock: "* ]]
    run drupe state "$(container_id)"
    [[ "$output" == *"does not exist"* ]]
    created
    inside /bin/true
    [ "$status" = 255 ]
    [[ "$output" == *"linux.seccomp.listenerPath"* ]]
    [ "$(drupe ps --format json "$(container_id)" | jq length)" = 1 ]
    run drupe start "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"linux.seccomp.listenerPath"* ]]
    wait_for 5 is_stopped
    down
}

# --------------------------------------------------------------------------------------------------------------- the runtime's own file

@test "exe: behind the waiting init of a created container is a sealed memory file" {
    # A file that nobody else runs, which the kernel would not let anybody write.
    cp "$RUNTIME" "$BATS_TEST_TMPDIR/drupe"
    RUNTIME=$BATS_TEST_TMPDIR/drupe
    created
    run "$PROBE" seals "/proc/$(init_pid)/exe"
    [ "${lines[0]}" = 'seals 15' ]
    [ "${lines[1]}" = 'writable error ETXTBSY' ] || [ "${lines[2]}" = 'write error EPERM' ]
    [[ "$(readlink "/proc/$(init_pid)/exe")" == /memfd:* ]]
    # By its mappings not even those can write who may do anything; the runtime that would keep them from it is gone.
    local file n=0
    for file in "/proc/$(init_pid)/map_files"/*; do
        [ "$(stat -Lc %i "$file")" = "$(stat -Lc %i "$RUNTIME")" ] || continue
        n=$((n + 1))
        run sh -c ': >>"$1"' sh "$file"
        [ "$status" != 0 ]
        [[ "$output" == *'Read-only file system'* ]]
    done
    [ "$n" -gt 0 ] || is_copied
    # From inside, root may not even look.
    inside /probe seals /proc/1/exe
    [[ "$output" != *"seals 15"*"write "[0-9]* ]]
    down
}

# A program that needs a loader runs from a sealed copy.
is_copied() { grep -qa ld-linux "$RUNTIME"; }

# By a createRuntime hook, which gets the pid of init.
@test "exe: init of run leads to a sealed memory file, and the program's file, by what is mapped of it, cannot be written" {
    local hook=$BATS_TEST_TMPDIR/look
    # shellcheck disable=SC2016 # for the hook
    printf '#!/bin/sh\nat=/proc/$(jq .pid)\nexec >%q 2>&1\nreadlink $at/exe\n%q seals $at/exe\nfor f in $at/map_files/*; do
        [ "$(stat -Lc %%i $f)" != %s ] || { echo mapped; (: >>$f); }\ndone\nexit 0\n' \
        "$BATS_TEST_TMPDIR/seen" "$PROBE" "$(stat -Lc %i "$RUNTIME")" >"$hook"
    chmod +x "$hook"
    config --arg hook "$hook" '.hooks.createRuntime = [{path: $hook, env: ["PATH=" + env.PATH]}]'
    args /bin/true
    run_container
    [ "$status" = 0 ]
    run cat "$BATS_TEST_TMPDIR/seen"
    [[ "${lines[0]}" == /memfd:* ]]
    [[ "$output" == *'seals 15'* && "$output" != *"write "[0-9]* ]]
    [ "$(grep -c mapped <<<"$output")" = "$(grep -c 'Text file busy' <<<"$output")" ]
    [[ "$output" == *mapped* ]] || is_copied
}

@test "exe: a sealed copy of the program runs where the kernel does not let one show another file as its own" {
    local without=("$(dirname "$BATS_TEST_FILENAME")/../lib/deny_set_mm.py" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}")
    [ "$(uname -m)" = x86_64 ] || skip 'the filter is for x86_64'
    args /probe seals /proc/self/exe
    run "${without[@]}" run --bundle "$BUNDLE" "$(container_id)" </dev/null 3>&-
    [ "$status" = 0 ]
    args /bin/sleep 1000
    "${without[@]}" create --bundle "$BUNDLE" "$(container_id)" </dev/null >/dev/null 2>&1 3>&-
    run "$PROBE" seals "/proc/$(init_pid)/exe"
    [ "${lines[0]}" = 'seals 15' ]
    drupe start "$(container_id)"
    run "${without[@]}" exec "$(container_id)" /bin/true </dev/null 3>&-
    [ "$status" = 0 ]
    down
}

@test "exe: a program that is the runtime itself cannot change it, by run and exec" {
    local before
    before=$(sha256sum <"$RUNTIME")
    config '.process.capabilities |= map_values(. + ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"])'
    printf '#!/proc/self/exe\n' >"$BUNDLE/rootfs/bin/script"
    chmod +x "$BUNDLE/rootfs/bin/script"
    ln -s /proc/self/exe "$BUNDLE/rootfs/bin/own"
    local name
    for name in /proc/self/exe /bin/script /bin/own; do
        args "$name" --version
        run_container
    done
    up
    for name in /proc/self/exe /bin/script /bin/own; do
        inside -- "$name" --version
    done
    down
    [ "$(sha256sum <"$RUNTIME")" = "$before" ]
}

# until_seen N COMMAND...: N times, and on where a loaded machine schedules the scan badly: until it has seen at least one.
until_seen() {
    local i n=$1
    shift
    for ((i = 0; i < n + 200; i++)); do
        [ "$i" -lt "$n" ] || ! grep -q seen "$BATS_TEST_TMPDIR/scan" || break
        "$@"
    done
}

@test "a hostile process inside reaches nothing of the runtime during fifty execs" {
    up
    drupe exec "$(container_id)" /probe scan >"$BATS_TEST_TMPDIR/scan" 2>&1 </dev/null 3>&- & local scan=$!
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/scan"
    until_seen 50 detached exec "$(container_id)" /bin/true
    down
    wait "$scan" || true
    grep -q seen "$BATS_TEST_TMPDIR/scan"
    run -1 grep reached "$BATS_TEST_TMPDIR/scan"
}

@test "a hostile process reaches nothing of a container that is created in its pid namespace" {
    up
    local pid
    pid=$(init_pid)
    drupe exec "$(container_id)" /probe scan >"$BATS_TEST_TMPDIR/scan" 2>&1 </dev/null 3>&- & local scan=$!
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/scan"
    config --arg ns "/proc/$pid/ns/pid" '(.linux.namespaces[] | select(.type == "pid")).path = $ns'
    args /bin/true
    until_seen 10 drupe run --bundle "$BUNDLE" "$(container_id other)"
    down
    wait "$scan" || true
    grep -q seen "$BATS_TEST_TMPDIR/scan"
    run -1 grep reached "$BATS_TEST_TMPDIR/scan"
}

# --------------------------------------------------------------------------------------------------------------------- descriptors, cwd

# leaking ARG...: the runtime with descriptors 3 to 20 open on a directory of the host
leaking() {
    run bash -c 'for i in $(seq 3 20); do eval "exec $i</etc"; done; exec timeout "$0" "$@"' "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" "$@"
}

@test "leaked descriptors: the program has 0 to 2 and nothing else, by run, create and exec" {
    args /probe fds
    leaking run --bundle "$BUNDLE" "$(container_id)"
    [ "$status" = 0 ]
    [ "$(awk '$1 > 2' <<<"$output")" = '' ]
    args /probe trap
    (for i in $(seq 3 20); do eval "exec $i</etc"; done && drupe run --detach --bundle "$BUNDLE" "$(container_id)" </dev/null >/dev/null 2>&1)
    run ls "/proc/$(init_pid)/fd"
    [ "$output" = $'0\n1\n2' ]
    leaking exec "$(container_id)" /probe fds
    [ "$(awk '$1 > 2' <<<"$output")" = '' ]
    down
}

@test "leaked descriptors: no working directory leads to the host, of config or exec --cwd" {
    local n
    up
    args /probe cwd
    for n in $(seq 3 24); do
        config --arg cwd "/proc/self/fd/$n" '.process.cwd = $cwd'
        leaking run --bundle "$BUNDLE" "$(container_id other)"
        [ "$status" = 1 ]
        [[ "$output" != *"cwd "* || "$output" == *"process.cwd"* ]]
        leaking exec --cwd "/proc/self/fd/$n" "$(container_id)" /probe cwd
        [ "$status" = 255 ]
    done
    down
}

@test "a descriptor passed on purpose is no way to a working directory on the host" {
    config '.process.cwd = "/proc/self/fd/3"'
    args /probe cwd
    leaking run --preserve-fds 1 --bundle "$BUNDLE" "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"outside the container's root"* ]]
}

# ---------------------------------------------------------------------------------------------------------------------------- devices

@test "devices: the default ones work, others are refused though their nodes exist" {
    config '.process.capabilities |= map_values(. + ["CAP_SYS_RAWIO"] | unique)'
    args /probe open /dev/null w , open /dev/zero r , open /dev/full w , open /dev/random r , open /dev/urandom r , open /dev/tty r , open /dev/ptmx r , \
        mknod /dev/of-mem c 1 1 , open /dev/of-mem r , mknod /dev/of-kmsg c 1 11 , open /dev/of-kmsg r , mknod /dev/of-disk b 8 0 , open /dev/of-disk r , \
        mknod /dev/of-loop b 7 0 , open /dev/of-loop r , mknod /dev/of-fuse c 10 229 , open /dev/of-fuse r , mknod /dev/of-null c 1 3 , open /dev/of-null w
    run_container
    [ "$status" = 0 ]
    # tty: no terminal here (ENXIO), but not forbidden
    [ "$(cut -d' ' -f2- <<<"$output" | tr '\n' ' ')" = \
        '0 0 0 0 0 error ENXIO 0 0 error EPERM 0 error EPERM 0 error EPERM 0 error EPERM 0 error EPERM 0 0 ' ]
    up
    inside /probe mknod /dev/of-kmsg c 1 11 , open /dev/of-kmsg r , open /dev/null w
    [ "$output" = $'mknod 0\nopen error EPERM\nopen 0' ]
    down
}

@test "devices: rules in order, the last match counts" {
    config '.linux.resources.devices = [{allow: false, access: "rwm"}, {allow: true, type: "c", major: 1, minor: 11, access: "rw"}, {allow: false, type: "c", major: 1, minor: 11, access: "w"}]
        | .process.capabilities |= map_values(. + ["CAP_SYSLOG", "CAP_SYS_ADMIN"])'
    args /probe mknod /dev/of-kmsg c 1 11 , open /dev/of-kmsg r , open /dev/of-kmsg w
    run_container
    [ "$output" = $'mknod 0\nopen 0\nopen error EPERM' ]
}

@test "devices: malformed rules are refused" {
    local bad
    for bad in '{"allow":true,"access":"rwx"}' '{"allow":true,"access":"rr"}' '{"allow":true,"type":"d","access":"r"}' '{"allow":true,"type":"c","major":-2,"access":"r"}' \
        '{"allow":true,"type":"c","major":4294967296,"access":"r"}' '{"allow":"yes","access":"r"}' '{"access":"r","major":"1"}'; do
        config --argjson d "$bad" '.linux.resources.devices = [$d]'
        run_container
        [ "$status" = 1 ]
        [[ "$output" == *"devices"* ]]
    done
}
