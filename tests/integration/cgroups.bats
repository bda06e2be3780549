#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2119,SC2120,SC2154 # texts for inner shells and for jq; optional arguments; variables of bats
# Cgroups by effect: a process that is killed, throttled, refused a fork or a device; and what is left of them afterwards.
# The same on cgroup v1, hybrid and v2, and with `run --unified` on a machine with cgroup v1 as if it had v2.
load helpers
load inside

setup() {
    begin_test
    setup_bundle
    ID=$TOKEN
}

# ------------------------------------------------------------------------------------------------------------------------- the machine

is_v2() { [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; }

# mount_of CONTROLLER: where it is, as the test sees it; nothing when it is nowhere.
mount_of() {
    local c
    if is_v2 || grep -qsw "${1:-none}" /sys/fs/cgroup/unified/cgroup.controllers; then
        c=${1/#blkio/io}
        for m in /sys/fs/cgroup /sys/fs/cgroup/unified; do
            [ ! -f "$m/cgroup.controllers" ] || { [ -n "$1" ] && ! grep -qw "$c" "$m/cgroup.controllers"; } || {
                echo "$m"
                return
            }
        done
    elif [ -d "/sys/fs/cgroup/$1" ]; then
        echo "/sys/fs/cgroup/$1"
    fi
}

needs() {
    local c
    for c; do [ -n "$(mount_of "$c")" ] || skip "needs the cgroup controller $c"; done
}

# dir_of CONTROLLER [PATH]
dir_of() { echo "$(mount_of "$1")/${2:-$(cgroup_path)}"; }

# A directory that every machine has, for what needs no controller.
any_dir() { if is_v2; then dir_of '' "$@"; else dir_of pids "$@"; fi; }

# content CONTROLLER FILE-V1 FILE-V2: of the container's cgroup
content() {
    local m
    m=$(mount_of "$1")
    if [ -f "$m/cgroup.controllers" ] || [ -f "$m/cgroup.subtree_control" ]; then cat "$m/$(cgroup_path)/$3"; else cat "$m/$(cgroup_path)/$2"; fi
}

resources() { config --argjson r "$1" '.linux.resources += $r'; }

no_pid_namespace() { config '.linux.namespaces |= map(select(.type != "pid"))'; }

no_directory() { [ -z "$(find /sys/fs/cgroup -name "*$ID*" 2>/dev/null)" ]; }

gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

status_is() { [ "$(drupe state "$ID" | jq -r .status)" = "$1" ]; }

# refused TEXT: run fails with the text, once, and leaves nothing.
refused() {
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"$1"* ]] || { echo "output: $output" && return 1; }
    no_directory
    [ ! -e "$ROOT/$ID" ]
}

# ---------------------------------------------------------------------------------------------------------------------- limits by effect

@test "a program that uses more memory than its limit is killed, and run says 137" {
    needs memory
    resources '{"memory": {"limit": 16777216, "swap": 16777216}}'
    args /probe memory 64
    run_container
    [ "$status" -eq 137 ]
    [[ "$output" != *"memory ok"* ]]
}

@test "a program that stays below its memory limit is not" {
    needs memory
    resources '{"memory": {"limit": 67108864, "swap": 67108864}}'
    args /probe memory 16
    run_container
    [ "$status" -eq 0 ]
    [ "$output" = 'memory ok' ]
}

@test "a container starts under a memory limit of 256 KiB" {
    needs memory
    resources '{"memory": {"limit": 262144, "swap": 262144}}'
    args /probe echo started
    run_container
    [ "$status" -eq 0 ]
    [ "$output" = started ]
    # with a rest of it to spare
    args /probe trap
    up
    [ "$(content memory memory.limit_in_bytes memory.max)" = 262144 ]
    down
}

@test "pids.limit is how many processes there can be" {
    needs pids
    resources '{"pids": {"limit": 4}}'
    args /probe spawn 10
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/out"
    grep -qx 'fork error EAGAIN' "$BATS_TEST_TMPDIR/out"
    [ "$(content pids pids.current pids.current)" = 4 ]
    down
}

@test "pids.limit 0 is a limit: the first process cannot fork" {
    needs pids
    resources '{"pids": {"limit": 0}}'
    args /probe spawn 1
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/out"
    grep -qx 'fork error EAGAIN' "$BATS_TEST_TMPDIR/out"
    down
}

@test "pids.limit -1 is none" {
    needs pids
    resources '{"pids": {"limit": -1}}'
    up
    [ "$(content pids pids.max pids.max)" = max ]
    down
}

throttled() { [ "$(content cpu cpu.stat cpu.stat | sed -n 's/^nr_throttled //p')" -gt 0 ]; }

@test "a busy program gets no more processor time than its quota: it is throttled" {
    needs cpu
    resources '{"cpu": {"quota": 2000, "period": 10000}}'
    args /bin/sh -c 'while :; do :; done'
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 throttled
    down
}

@test "cpu shares become a weight on v2 and stay shares on v1" {
    needs cpu
    resources '{"cpu": {"shares": 2048}}'
    up
    want=2048
    ! is_v2 || want=174
    [ "$(content cpu cpu.shares cpu.weight)" = "$want" ]
    down
}

@test "cpuset limits show in the status of the process" {
    needs cpuset
    resources '{"cpu": {"cpus": "0", "mems": "0"}}'
    args /bin/grep _allowed_list: /proc/self/status
    run_container
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$(printf 'Cpus_allowed_list:\t0')" ]
    [ "${lines[1]}" = "$(printf 'Mems_allowed_list:\t0')" ]
}

@test "a processor that is not there is an error that names the setting, and nothing is left" {
    needs cpuset
    resources '{"cpu": {"cpus": "4095"}}'
    refused 'linux.resources.cpu.cpus: writing "4095"'
}

@test "hugepage limits are written, those for reservations too" {
    needs hugetlb
    size=$(find /sys/kernel/mm/hugepages -name 'hugepages-2048kB' 2>/dev/null)
    [ -n "$size" ] || skip 'needs hugepages of 2 MB'
    resources '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}'
    up
    [ "$(content hugetlb hugetlb.2MB.limit_in_bytes hugetlb.2MB.max)" = 4194304 ]
    [ "$(content hugetlb hugetlb.2MB.rsvd.limit_in_bytes hugetlb.2MB.rsvd.max)" = 4194304 ]
    down
}

@test "a hugepage size that the kernel does not have is an error with its place in the config" {
    needs hugetlb
    resources '{"hugepageLimits": [{"pageSize": "3MB", "limit": 4194304}]}'
    refused 'linux.resources.hugepageLimits[0]'
}

# MAJOR:MINOR of a whole disk.
a_disk() {
    local d
    for d in /sys/block/*; do
        case ${d##*/} in loop* | ram* | zram* | '*') ;; *) cat "$d/dev" && return ;; esac
    done
    cat /sys/block/loop0/dev 2>/dev/null || true
}

@test "block device limits are written for their device" {
    needs blkio
    dev=$(a_disk)
    [ -n "$dev" ] || skip 'needs a block device'
    resources "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": ${dev%:*}, \"minor\": ${dev#*:}, \"rate\": 1048576}],
        \"throttleWriteIOPSDevice\": [{\"major\": ${dev%:*}, \"minor\": ${dev#*:}, \"rate\": 77}]}}"
    up
    if is_v2; then
        [ "$(content blkio x io.max)" = "$dev rbps=1048576 wbps=max riops=max wiops=77" ]
    else
        [ "$(content blkio blkio.throttle.read_bps_device x)" = "$dev 1048576" ]
        [ "$(content blkio blkio.throttle.write_iops_device x)" = "$dev 77" ]
    fi
    down
}

# The time it takes inside, since starting the container may take longer. Around the page cache, which has no limit.
@test "a disk is read no faster than its limit" {
    needs blkio
    dev=$(a_disk)
    [ -n "$dev" ] || skip 'needs a block device'
    config --argjson major "${dev%:*}" --argjson minor "${dev#*:}" '
        .linux.devices += [{"path": "/dev/disk", "type": "b", "major": $major, "minor": $minor}]
        | .linux.resources.devices += [{"allow": true, "type": "b", "major": $major, "minor": $minor, "access": "r"}]
        | .linux.resources.blockIO.throttleReadBpsDevice = [{"major": $major, "minor": $minor, "rate": 1048576}]'
    args /bin/sh -c 'cut -d" " -f1 /proc/uptime && dd if=/dev/disk of=/dev/null bs=65536 count=40 iflag=direct 2>/dev/null && cut -d" " -f1 /proc/uptime'
    run_container
    [ "$status" -eq 0 ] || skip "this disk cannot be read around the page cache: $output"
    # 2.5 MB, less what one slice of the throttle lets through at once
    [ $((${lines[1]/./} - ${lines[0]/./})) -ge 150 ]
}

@test "limits for a device that does not exist are an error with their place in the config" {
    needs blkio
    resources '{"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 4000, "rate": 1048576}]}}'
    refused 'linux.resources.blockIO.throttleReadBpsDevice[0]'
}

@test "network.classID is written on v1 when there is such a controller, else refused; v2 ignores it" {
    resources '{"network": {"classID": 1048577}}'
    if is_v2; then
        up
        down
    elif [ -d /sys/fs/cgroup/net_cls ]; then
        up
        [ "$(content net_cls net_cls.classid x)" = 1048577 ]
        down
    else
        refused 'linux.resources.network.classID: the cgroup controller "net_cls" is not available'
    fi
}

@test "unified settings are written to the files of cgroup v2" {
    is_v2 || skip 'needs cgroup v2'
    needs memory pids
    resources '{"unified": {"memory.high": "33554432", "pids.max": "9"}}'
    up
    [ "$(cat "$(dir_of memory)/memory.high")" = 33554432 ]
    [ "$(cat "$(dir_of pids)/pids.max")" = 9 ]
    down
}

@test "unified settings of a controller that is on v1 are refused" {
    ! is_v2 || skip 'needs cgroup v1'
    resources '{"unified": {"memory.high": "33554432"}}'
    refused 'linux.resources.unified["memory.high"]'
}

@test "unified settings that would take the cgroup apart are refused" {
    resources '{"unified": {"cgroup.procs": "1"}}'
    refused 'linux.resources.unified["cgroup.procs"]'
}

@test "a limit whose text the kernel refuses is an error that names it, and nothing is left" {
    needs cpu
    resources '{"cpu": {"quota": 1, "period": 10000}}'
    refused 'linux.resources.cpu.quota'
}

@test "without cgroups, limits are an error" {
    needs pids
    resources '{"pids": {"limit": 4}}'
    run drupe --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
    [ "$status" -eq 1 ]
    [[ "$output" == *linux.resources.pids.limit* ]]
    no_directory
}

@test "without cgroups, nothing of them is looked at" {
    config '.mounts |= map(select(.type // "" | startswith("cgroup") | not))'
    args /bin/true
    strace -f -o "$BATS_TEST_TMPDIR/trace" -e trace=file "$RUNTIME" --root "$ROOT" --cgroup-manager disabled run --bundle "$BUNDLE" "$ID"
    grep -q execve "$BATS_TEST_TMPDIR/trace"
    run ! grep -e /sys/fs/cgroup -e /proc/self/cgroup "$BATS_TEST_TMPDIR/trace"
}

# ------------------------------------------------------------------------------------------------------------------------------ devices

# The program makes a node of /dev/kmsg's number, which opens on every machine, and of /dev/null's.
try_devices() {
    config '.process.capabilities[] += ["CAP_SYSLOG"]'
    args /probe mknod /dev/kmsg c 1 11 , open /dev/kmsg r , mknod /dev/null2 c 1 3 , open /dev/null2 w
}

@test "a device that no rule allows can be made and not opened; the usual ones can" {
    try_devices
    run_container
    [ "$output" = "$(printf '%s\n' 'mknod 0' 'open error EPERM' 'mknod 0' 'open 0')" ]
}

@test "a device that a rule allows can be opened, for what the rule says" {
    resources '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}'
    try_devices
    run_container
    [ "$output" = "$(printf '%s\n' 'mknod 0' 'open 0' 'mknod 0' 'open 0')" ]
    # read, not write
    args /probe mknod /dev/kmsg2 c 1 11 , open /dev/kmsg2 w
    run_container
    [ "$output" = "$(printf '%s\n' 'mknod 0' 'open error EPERM')" ]
}

@test "a rule that forbids making a default device is named" {
    needs_cgroupfs "systemd allows the usual devices by itself"
    resources '{"devices": [{"allow": true, "access": "rwm"}, {"allow": false, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]}'
    args /bin/true
    run_container
    [ "$status" = 1 ]
    [ "$output" = 'drupe: /dev/zero: cannot make the device: linux.resources.devices denies it (m), or CAP_MKNOD is missing' ]
}

# A long list, so that the kernel takes its time before the filter is in force.
@test "a createContainer hook has no device that the rules deny" {
    local hook=$BATS_TEST_TMPDIR/open
    printf '#!/bin/sh\n(exec </dev/kmsg) 2>/dev/null && echo opened >>%q || echo denied >>%q\n' "$BATS_TEST_TMPDIR/seen" "$BATS_TEST_TMPDIR/seen" >"$hook"
    chmod +x "$hook"
    resources "$(jq -nc '{devices: ([{allow: false, access: "rwm"}] + [range(600) | {allow: true, type: "c", major: 240, minor: ., access: "r"}])}')"
    config --arg hook "$hook" '.hooks.createContainer = [{path: $hook, env: ["PATH=" + env.PATH]}]'
    args /bin/true
    for _ in 1 2 3; do
        run_container
        [ "$status" = 0 ]
    done
    [ "$(sort -u "$BATS_TEST_TMPDIR/seen")" = denied ]
}

@test "of two rules for a device the later one counts" {
    resources '{"devices": [{"allow": true, "access": "rwm"}, {"allow": false, "type": "c", "major": 1, "minor": 11, "access": "rwm"}]}'
    args /probe mknod /dev/kmsg c 1 11 , mknod /dev/port c 1 4
    run_container
    [ "$output" = "$(printf '%s\n' 'mknod error EPERM' 'mknod 0')" ]
}

# -------------------------------------------------------------------------------------------------------------------------------- place

# Every line of the process' cgroup file ends in the path.
all_in() {
    local line
    while read -r line; do [[ "${line#*:*:}" == "$1" ]] || return 1; done <"/proc/$(init_pid)/cgroup"
}

# Where no v1 is mounted the process stays where it was in those.
is_in() {
    if is_v2; then [ "$(sed -n 's/^0:://p' "/proc/$(init_pid)/cgroup")" = "$1" ]; else all_in "$1"; fi
}

@test "without a path the cgroup is drupe-ID, or the scope drupe-ID of system.slice, in every hierarchy" {
    up
    is_in "/$(cgroup_path)"
    down
    no_directory
}

@test "absolute and relative paths are below the root of every hierarchy, and only made parents go" {
    needs_cgroupfs
    for path in "/$TOKEN/a/b" "$TOKEN/c"; do
        config --arg p "$path" '.linux.cgroupsPath = $p'
        up
        is_in "/${path#/}"
        down
    done
    [ -z "$(find /sys/fs/cgroup -name "$TOKEN*")" ]
    # one that was there before stays
    parent=$(any_dir "$TOKEN")
    mkdir "$parent"
    config --arg p "/$TOKEN/x" '.linux.cgroupsPath = $p'
    up
    down
    [ -z "$(find "$parent" -mindepth 1 -type d)" ]
    rmdir "$parent"
}

@test "a path that climbs out, or is the root itself, is refused" {
    needs_cgroupfs
    for path in /../x ../x /a/../../x / /a/..; do
        config --arg p "$path" '.linux.cgroupsPath = $p'
        refused linux.cgroupsPath
    done
}

@test "a cgroup that has processes is refused, and they live on" {
    needs_cgroupfs
    mkdir -p "$(any_dir "$TOKEN/busy")"
    sleep 1000 3>&- &
    echo $! >"$(any_dir "$TOKEN/busy")/cgroup.procs"
    config --arg p "/$TOKEN/busy" '.linux.cgroupsPath = $p'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"exists and has processes"* ]]
    kill -0 $!
    kill $!
    wait $! || true
    # and takes it when it is empty, but only its own part of the tree goes
    wait_for 5 eval '[ -z "$(cat "$(any_dir "$TOKEN/busy")/cgroup.procs")" ]'
    run_container
    [ "$status" -eq 0 ]
    rmdir "$(any_dir "$TOKEN")"
}

# How create says that the cgroup is another's.
is_anothers() { [[ "$1" == *'exists and has processes'* || "$1" == *'is just being made, or removed, by another process'* || "$1" == *"drupe-$TOKEN-shared.scope"*already* ]]; }

# One of several creates with one cgroupsPath: it is alone in the cgroup, it can be started, and it goes with its cgroup.
is_whole() {
    local pid
    pid=$(drupe state "$1" | jq .pid)
    [ "$(cat "$(any_dir "$(cgroup_path shared)")/cgroup.procs")" = "$pid" ]
    drupe start "$1"
    [ "$(drupe state "$1" | jq -r .status)" = running ]
    drupe delete --force "$1"
    no_directory
    [ -z "$(ls -A "$ROOT")" ]
}

# stopped_at SYSCALL: create of $ID-slow stops when it has done that to a directory of the cgroup. Sets slow, and pid, drupe's.
stopped_at() {
    local m only=()
    for m in /sys/fs/cgroup /sys/fs/cgroup/*/; do only+=(-P "${m%/}/$(cgroup_path shared)"); done
    strace -qq -o "$BATS_TEST_TMPDIR/trace" "${only[@]}" -e "inject=$1:signal=SIGSTOP:when=1" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" \
        create --bundle "$BUNDLE" "$ID-slow" </dev/null >"$BATS_TEST_TMPDIR/slow" 2>&1 3>&- &
    slow=$!
    wait_for 10 grep -qs 'stopped by SIGSTOP' "$BATS_TEST_TMPDIR/trace"
    pid=$(pgrep -P "$slow")
}

# go_on STATUS: it ends with that.
go_on() {
    local code=0
    kill -CONT "$pid"
    wait "$slow" || code=$?
    [ "$code" -eq "$1" ] || { cat "$BATS_TEST_TMPDIR/slow" && return 1; }
}

one_path() {
    command -v strace >/dev/null || skip 'needs strace'
    place "$TOKEN-shared"
    args /probe trap
}

@test "a create that has made its cgroup, and has nothing in it, is not disturbed by another with the same path" {
    one_path
    if by_systemd; then stopped_at mkdir; else stopped_at fchmod; fi
    run drupe create --bundle "$BUNDLE" "$ID-quick" </dev/null
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    is_anothers "$output" || { echo "$output" && false; }
    [ ! -e "$ROOT/$ID-quick" ]
    go_on 0
    is_whole "$ID-slow"
}

@test "a create that has not quite made its cgroup when another takes it fails, and does not disturb that" {
    needs_cgroupfs
    one_path
    stopped_at mkdir
    detached create --bundle "$BUNDLE" "$ID-quick"
    go_on 1
    is_anothers "$(cat "$BATS_TEST_TMPDIR/slow")" || { cat "$BATS_TEST_TMPDIR/slow" && false; }
    is_whole "$ID-quick"
}

@test "of eight creates at the same moment with one path one wins, and the others say why they did not" {
    local round w winners
    place "$TOKEN-shared"
    args /probe trap
    for round in 1 2 3; do
        winners=()
        for w in 1 2 3 4 5 6 7 8; do
            { drupe create --bundle "$BUNDLE" "$ID-$w" </dev/null >"$BATS_TEST_TMPDIR/said-$w" 2>&1 || echo "status $?" >>"$BATS_TEST_TMPDIR/said-$w"; } &
        done
        wait
        for w in 1 2 3 4 5 6 7 8; do
            if [ ! -s "$BATS_TEST_TMPDIR/said-$w" ]; then
                winners+=("$ID-$w")
            else
                [ "$(wc -l <"$BATS_TEST_TMPDIR/said-$w")" -eq 2 ] && is_anothers "$(cat "$BATS_TEST_TMPDIR/said-$w")" ||
                    { cat "$BATS_TEST_TMPDIR/said-$w" && false; }
            fi
        done
        [ "${#winners[@]}" -eq 1 ]
        is_whole "${winners[0]}"
    done
}

# Delete of a container that ended, after another one has taken its cgroup: by the same path, or one of the same name made anew.
delete_spares_another() {
    local taken=$1
    needs_cgroupfs
    config --arg p "/$TOKEN/shared" '.linux.cgroupsPath = $p'
    no_pid_namespace
    args /bin/true
    drupe create --bundle "$BUNDLE" "$ID-old" </dev/null >/dev/null 2>&1
    drupe start "$ID-old"
    wait_for 5 eval '[ "$(drupe state "$ID-old" | jq -r .status)" = stopped ]'
    case $taken in
    anew) find /sys/fs/cgroup -depth -path "*/$TOKEN/shared" -exec rmdir {} + ;;
    divided) find /sys/fs/cgroup -depth -path "*/$TOKEN/shared" -exec mkdir -p {}/sub/sub \; ;;
    esac
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" "$ID"
    wait_for 5 status_is running
    drupe kill --all "$ID-old" KILL
    [ "$taken" != anew ] || [ -z "$(drupe ps --format json "$ID-old" 2>/dev/null | jq -r '.[]')" ]
    drupe delete "$ID-old"
    status_is running
    drupe exec "$ID" /bin/true
    drupe delete --force "$ID"
    [ -z "$(find /sys/fs/cgroup -path "*/$TOKEN*" 2>/dev/null)" ]
}

@test "delete ends nothing of a container that got the same cgroup later" { delete_spares_another taken; }
@test "delete ends nothing of a container that got the same cgroup, with others in it, later" { delete_spares_another divided; }
@test "delete ends nothing of a container that got the same cgroup path later" { delete_spares_another anew; }

@test "an unused cgroup of the administrator keeps its limits, one of a container that ended does not" {
    needs_cgroupfs
    needs pids
    config --arg p "/$TOKEN/ours" '.linux.cgroupsPath = $p'
    mkdir "$(dir_of pids "$TOKEN")"
    if is_v2; then echo +pids >"$(dir_of pids "$TOKEN")/cgroup.subtree_control"; fi
    mkdir "$(dir_of pids "$TOKEN/ours")"
    echo 77 >"$(dir_of pids "$TOKEN/ours")/pids.max"
    for wanted in 77 max; do
        args /bin/true
        detached run -d --bundle "$BUNDLE" "$ID-$wanted"
        [ "$(cat "$(dir_of pids "$TOKEN/ours")/pids.max")" = "$wanted" ]
        wait_for 5 eval '[ "$(drupe state "$ID-$wanted" | jq -r .status)" = stopped ]'
    done
    drupe delete "$ID-77"
    [ -d "$(dir_of pids "$TOKEN/ours")" ]
    drupe delete "$ID-max"
    [ ! -d "$(dir_of pids "$TOKEN/ours")" ]
    rmdir "$(dir_of pids "$TOKEN")"
}

@test "a cgroup that is frozen is refused" {
    needs_cgroupfs
    local d file=cgroup.freeze on=1 off=0
    if is_v2; then d=$(any_dir "$TOKEN"); else d=$(dir_of freezer "$TOKEN") file=freezer.state on=FROZEN off=THAWED; fi
    mkdir "$d"
    echo $on >"$d/$file"
    config --arg p "/$TOKEN" '.linux.cgroupsPath = $p'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"exists and is frozen"* ]]
    [ -d "$d" ]
    echo $off >"$d/$file"
    rmdir "$d"
}

@test "with a cgroup namespace the container sees itself at the root, without one where it is" {
    args /bin/cat /proc/self/cgroup
    run_container
    [ "$status" -eq 0 ]
    for line in "${lines[@]}"; do [ "${line#*:*:}" = / ]; done
    config '.linux.namespaces |= map(select(.type != "cgroup"))'
    run_container
    [ "$status" -eq 0 ]
    # where no v1 is mounted it stays where it was in those
    for line in "${lines[@]}"; do [ "${line#*:*:}" = "/$(cgroup_path)" ] || { is_v2 && [[ "$line" != 0::* ]]; }; done
}

# --------------------------------------------------------------------------------------------------------------------------------- exec

@test "exec joins the container's cgroup in every hierarchy" {
    up
    drupe exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /probe trap </dev/null >/dev/null 2>&1
    cmp "/proc/$(init_pid)/cgroup" "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/cgroup"
    down
}

@test "exec --cgroup joins a sub-cgroup, and refuses to leave the container's" {
    up
    mkdir "$(any_dir)/sub"
    drupe exec --detach --cgroup sub --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /probe trap </dev/null >/dev/null 2>&1
    grep -qx "$(cat "$BATS_TEST_TMPDIR/pid")" "$(any_dir)/sub/cgroup.procs"
    inside --cgroup nowhere /probe echo x
    [ "$status" -eq 255 ]
    [[ "$output" == *'the container has no cgroup "nowhere"'* ]]
    for path in .. ../.. sub/../../x; do
        inside --cgroup "$path" /probe echo x
        [ "$status" -eq 255 ]
        [[ "$output" == *"must be below the container's own"* ]]
    done
    down
    no_directory
}

@test "exec into a cgroup that the container has divided goes where its first process is" {
    is_v2 || skip 'needs cgroup v2'
    up
    if ! read -r controller _ <"$(any_dir)/cgroup.controllers"; then
        down
        skip 'needs a controller on cgroup2'
    fi
    mkdir "$(any_dir)/init"
    init_pid >"$(any_dir)/init/cgroup.procs"
    echo "+$controller" >"$(any_dir)/cgroup.subtree_control"
    inside /probe read /proc/self/cgroup
    [ "$status" -eq 0 ]
    [[ "$output" == *0::/init* ]]
    down
    no_directory
}

# -------------------------------------------------------------------------------------------------------------------- pause and the end

# What init has computed so far, in nanoseconds.
run_time() { cut -d' ' -f1 "/proc/$(init_pid)/schedstat"; }

moved_on() { [ "$(run_time)" -gt "$before" ]; }

frozen_pause_resume() {
    args /bin/sh -c 'while :; do :; done'
    detached run --detach --bundle "$BUNDLE" "$ID"
    drupe pause "$ID"
    status_is paused
    before=$(run_time)
    drupe state "$ID" >/dev/null # some milliseconds
    ! moved_on || return 1
    drupe resume "$ID"
    status_is running
    wait_for 5 moved_on
    drupe pause "$ID"
}

@test "pause stops every process, resume lets it go on, and kill ends a paused one" {
    frozen_pause_resume
    pid=$(init_pid)
    drupe kill "$ID" KILL
    wait_for 5 gone "$pid"
    drupe delete "$ID"
    no_directory
}

@test "pause, resume and delete --force of a paused container" {
    frozen_pause_resume
    pid=$(init_pid)
    down
    gone "$pid"
    no_directory
}

# A program that makes as many processes as it can.
fork_chain() {
    needs pids
    resources '{"pids": {"limit": 24}}'
    args /probe forks
    # the watchdog: whatever happens, it ends
    (sleep $((60 * ${DRUPE_SLOW:-1})) && drupe delete --force "$ID") >/dev/null 2>&1 3>&- &
    watchdog=$!
    "$@"
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 eval '[ "$(content pids pids.current pids.current)" -ge 20 ]'
}

end_watchdog() {
    pkill -KILL -P $watchdog || true
    wait $watchdog || true
}

@test "delete --force ends a container in which processes fork without end" {
    fork_chain true
    pid=$(init_pid)
    down
    gone "$pid"
    no_directory
    end_watchdog
}

@test "kill --all and delete end what forks without end, without a pid namespace too" {
    fork_chain no_pid_namespace
    drupe kill --all "$ID" KILL
    [ -z "$(cat "$(dir_of pids)/cgroup.procs")" ]
    drupe delete "$ID"
    no_directory
    end_watchdog
}

@test "without a pid namespace kill --all ends every process of the cgroup" {
    no_pid_namespace
    args /probe daemon 10 , trap
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 eval '[ "$(wc -l <"$(any_dir)/cgroup.procs")" -ge 11 ]'
    drupe kill --all "$ID" KILL
    [ -z "$(cat "$(any_dir)/cgroup.procs")" ]
    drupe delete "$ID"
    no_directory
}

# As systemd in a container does; the processes are in the sub-cgroups when the end comes.
@test "sub-cgroups that a container made go with it, and the processes in them" {
    no_pid_namespace
    up
    for sub in init.scope a a/b 'a/b/c d' system.slice; do
        mkdir "$(any_dir)/$sub"
    done
    drupe exec --detach --cgroup a/b "$ID" /probe trap </dev/null >/dev/null 2>&1
    drupe exec --detach --cgroup 'a/b/c d' "$ID" /probe daemon 3 , trap </dev/null >/dev/null 2>&1
    init_pid >"$(any_dir)/init.scope/cgroup.procs"
    pid=$(cat "$(any_dir)/a/b/cgroup.procs")
    down
    wait_for 5 gone "$pid"
    no_directory
}

@test "a sub-cgroup frozen by the container does not keep it from ending" {
    no_pid_namespace
    up
    if is_v2; then sub=$(any_dir)/sub file=cgroup.freeze on=1; else sub=$(dir_of freezer)/sub file=freezer.state on=FROZEN; fi
    mkdir "$sub"
    drupe exec --detach --cgroup sub "$ID" /probe trap </dev/null >/dev/null 2>&1
    echo $on >"$sub/$file"
    wait_for 5 eval '[ -n "$(cat "$sub/cgroup.procs")" ]'
    down
    no_directory
}

some_containers() {
    local i
    for ((i = $1; i < 200; i += 8)); do
        drupe create --bundle "$BUNDLE" "$ID-$i" </dev/null >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" &&
            drupe start "$ID-$i" >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" &&
            drupe delete --force "$ID-$i" 2>>"$BATS_TEST_TMPDIR/errors" || echo "$ID-$i: $?" >>"$BATS_TEST_TMPDIR/errors"
    done
}

@test "200 containers, 8 at a time, leave no cgroup" {
    args /bin/true
    workers=()
    for w in 0 1 2 3 4 5 6 7; do
        some_containers $w 3>&- &
        workers+=($!)
    done
    wait "${workers[@]}"
    cat "$BATS_TEST_TMPDIR/errors"
    [ ! -s "$BATS_TEST_TMPDIR/errors" ]
    [ -z "$(find /sys/fs/cgroup -name "$ID*" 2>/dev/null)" ]
}

# --------------------------------------------------------------------------------------------------------------------------- delegation

delegate() {
    config '(.mounts[] | select(.type == "cgroup") | .options) |= map(if . == "ro" then "rw" else . end)
        | .linux.namespaces += [{"type": "user"}] | .process.user = {"uid": 1000, "gid": 1000}
        | .linux.uidMappings = [{"containerID": 0, "hostID": 100000, "size": 65536}] | .linux.gidMappings = .linux.uidMappings'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
    # the container's root must get through to it
    chmod o+x "$BATS_TEST_TMPDIR" "$BUNDLE"
}

@test "a writable cgroup mount is the container user's to divide, on cgroup v2" {
    is_v2 || skip 'needs cgroup v2'
    delegate
    args /bin/sh -c 'cd /sys/fs/cgroup && mkdir sub && echo 1 >sub/cgroup.procs && cat sub/cgroup.procs && cat /proc/self/cgroup'
    config '.process.args[2] += " && { echo 1 >cgroup.freeze || echo not the limits; }"'
    run_container
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = 1 ]
    [[ "$output" == *0::/sub* ]]
    [[ "$output" == *'not the limits'* ]]
    no_directory
}

@test "a read-only cgroup mount cannot be written" {
    is_v2 || skip 'needs cgroup v2'
    args /bin/sh -c 'mkdir /sys/fs/cgroup/sub'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *'Read-only file system'* ]]
}
