#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2119,SC2120,SC2154 # texts for inner shells and for jq; optional arguments; variables of bats
# update: other limits for a container that lives, by effect. events: what it uses, and that it ran out of memory.
load helpers
load inside

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
    EVENTS=$BATS_TEST_TMPDIR/events
}

is_v2() { [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; }

# dir_of CONTROLLER: of the container; skips when the machine does not have it.
dir_of() {
    if is_v2; then echo "/sys/fs/cgroup/$(cgroup_path)"; else echo "/sys/fs/cgroup/$1/$(cgroup_path)"; fi
}

has() { if is_v2; then grep -qw "${1/#blkio/io}" /sys/fs/cgroup/cgroup.controllers; else [ -d "/sys/fs/cgroup/$1" ]; fi; }

needs() {
    local c
    for c; do has "$c" || skip "needs the cgroup controller $c"; done
}

# content CONTROLLER FILE-V1 FILE-V2
content() { if is_v2; then cat "$(dir_of "$1")/$3"; else cat "$(dir_of "$1")/$2"; fi; }

memory_limit() { content memory memory.limit_in_bytes memory.max; }

resources() { config --argjson r "$1" '.linux.resources += $r'; }

update() { drupe update "$@" "$ID"; }

# refuses TEXT ARG...: update fails with the text and prints nothing else.
refuses() {
    local text=$1
    shift
    run --separate-stderr drupe update "$@" "$ID"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ "$stderr" == *"$text"* ]] || { echo "stderr: $stderr" && return 1; }
}

stored() { jq -r "$1" "$ROOT/$ID/resources.json"; }

# ------------------------------------------------------------------------------------------------------------------------------- update

@test "update --pids-limit: what could fork cannot any more, and can again" {
    needs pids
    up
    update --pids-limit 1
    [ "$(content pids pids.max pids.max)" = 1 ]
    inside /probe daemon 1
    [ "$status" -ne 0 ] || [[ "$output" == *'fork error EAGAIN'* ]]
    update --pids-limit=-1
    [ "$(content pids pids.max pids.max)" = max ]
    inside /probe echo works
    [ "$status" -eq 0 ]
    down
}

@test "update --memory: a program that had room is killed" {
    needs memory
    up
    inside /probe memory 48
    [ "$status" -eq 0 ]
    update --memory 32m --memory-swap 32M
    [ "$(memory_limit)" = 33554432 ]
    inside /probe memory 48
    [ "$status" -eq 137 ]
    update --memory -1
    [ "$(memory_limit)" = "$(if is_v2; then echo max; else echo 9223372036854771712; fi)" ]
    inside /probe memory 48
    [ "$status" -eq 0 ]
    down
}

throttled() { [ "$(content cpu cpu.stat cpu.stat | sed -n 's/^nr_throttled //p')" -gt 0 ]; }

@test "update --cpu-quota throttles a program that runs; quota and period keep each other" {
    needs cpu
    args /bin/sh -c 'while :; do :; done'
    detached run --detach --bundle "$BUNDLE" "$ID"
    run throttled
    [ "$status" -ne 0 ]
    update --cpu-period 20000 --cpu-quota 2000
    wait_for 10 throttled
    update --cpu-quota 3000
    ! is_v2 || [ "$(cat "$(dir_of cpu)/cpu.max")" = '3000 20000' ]
    is_v2 || [ "$(cat "$(dir_of cpu)/cpu.cfs_period_us")" = 20000 ]
    update --cpu-period 50000
    ! is_v2 || [ "$(cat "$(dir_of cpu)/cpu.max")" = '3000 50000' ]
    is_v2 || [ "$(cat "$(dir_of cpu)/cpu.cfs_quota_us")" = 3000 ]
    [ "$(stored '.cpu | "\(.quota) \(.period)"')" = '3000 50000' ]
    # a shorter period than the quota, and back, in any order
    update --cpu-period 1000 --cpu-quota 1000
    update --cpu-period 100000 --cpu-quota 90000
    down
}

@test "update --cpuset-cpus moves what runs" {
    needs cpuset
    up
    update --cpuset-cpus 0 --cpuset-mems 0
    [ "$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$(init_pid)/status")" = 0 ]
    refuses 'linux.resources.cpu.cpus: writing "4095"' --cpuset-cpus 4095
    [ "$(stored .cpu.cpus)" = 0 ]
    down
}

@test "update changes what is named and keeps the rest" {
    needs cpu memory pids
    resources '{"memory": {"limit": 67108864}, "pids": {"limit": 50}, "cpu": {"shares": 512}}'
    up
    update --cpu-share 2048
    [ "$(memory_limit)" = 67108864 ]
    [ "$(content pids pids.max pids.max)" = 50 ]
    [ "$(content cpu cpu.shares cpu.weight)" = "$(if is_v2; then echo 174; else echo 2048; fi)" ]
    [ "$(stored '"\(.memory.limit) \(.pids.limit) \(.cpu.shares)"')" = '67108864 50 2048' ]
    [ "$(jq .linux.resources.cpu.shares "$ROOT/$ID/config.json")" = 512 ]
    down
}

@test "update --resources takes JSON from a file or standard input" {
    needs pids memory
    up
    echo '{"pids": {"limit": 33}}' >"$BATS_TEST_TMPDIR/r.json"
    update --resources "$BATS_TEST_TMPDIR/r.json"
    [ "$(content pids pids.max pids.max)" = 33 ]
    echo '{"pids": {"limit": 34}, "memory": {"limit": 50331648}}' | drupe update --resources - "$ID"
    [ "$(content pids pids.max pids.max)" = 34 ]
    [ "$(memory_limit)" = 50331648 ]
    echo '{"pids": {"limit": 35}}' | drupe update "$ID" -r -
    [ "$(content pids pids.max pids.max)" = 35 ]
    down
}

@test "update refuses what it cannot read, and changes nothing" {
    needs pids
    up
    update --pids-limit 40
    refuses '--memory: "12x" is not a size like 512m, 1g or -1' --memory 12x
    refuses '--memory: "99999999999g" is too much' --memory 99999999999g
    refuses '--pids-limit' --pids-limit many
    refuses 'excludes the flags for single limits' --resources /dev/null --pids-limit 4
    echo '{"pids": {"limit": "x"}}' >"$BATS_TEST_TMPDIR/r.json"
    refuses 'pids.limit: expected' --resources "$BATS_TEST_TMPDIR/r.json"
    refuses 'No such file' --resources "$BATS_TEST_TMPDIR/none"
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    refuses '--resources' --resources "$BATS_TEST_TMPDIR/fifo"
    [ "$(content pids pids.max pids.max)" = 40 ]
    down
}

@test "update that fails half way leaves the limits as they were" {
    needs pids cpu cpuset
    up
    update --cpu-share 1024 --pids-limit 60
    before=$(content cpu cpu.shares cpu.weight)
    refuses linux.resources.cpu.cpus --cpu-share 4096 --pids-limit 61 --cpuset-cpus 4095
    [ "$(content cpu cpu.shares cpu.weight)" = "$before" ]
    [ "$(content pids pids.max pids.max)" = 60 ]
    [ "$(stored '"\(.cpu.shares) \(.pids.limit)"')" = '1024 60' ]
    down
}

@test "update below what is in use is refused with checkBeforeUpdate" {
    needs memory
    args /bin/sh -c '/probe memory 40 , sleep 1000 & wait'
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 eval '[ "$(content memory memory.usage_in_bytes memory.current)" -gt 41943040 ]'
    echo '{"memory": {"limit": 8388608, "swap": 8388608, "checkBeforeUpdate": true}}' >"$BATS_TEST_TMPDIR/r.json"
    refuses linux.resources.memory --resources "$BATS_TEST_TMPDIR/r.json"
    [ "$(drupe state "$ID" | jq -r .status)" = running ]
    [ ! -e "$ROOT/$ID/resources.json" ]
    down
}

@test "update leaves a paused container paused, and works on a created one" {
    needs pids
    created
    update --pids-limit 21
    [ "$(drupe state "$ID" | jq -r .status)" = created ]
    drupe start "$ID"
    drupe pause "$ID"
    update --pids-limit 22
    [ "$(drupe state "$ID" | jq -r .status)" = paused ]
    [ "$(content pids pids.max pids.max)" = 22 ]
    drupe resume "$ID"
    down
}

@test "update of a stopped or unknown container is an error" {
    args /bin/true
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 eval '[ "$(drupe state "$ID" | jq -r .status)" = stopped ]'
    refuses 'container not running' --pids-limit 4
    drupe delete "$ID"
    refuses 'does not exist' --pids-limit 4
}

@test "update without a cgroup is an error" {
    args /probe trap
    detached --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID"
    refuses 'linux.resources.pids.limit' --pids-limit 4
    down
}

# The node exists; whether it opens is the rules' business.
@test "update changes the devices of a container that runs" {
    config '.process.capabilities[] += ["CAP_SYSLOG"]'
    up
    inside /probe mknod /dev/kmsg c 1 11 , open /dev/kmsg r
    [ "${lines[1]}" = 'open error EPERM' ]
    echo '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}' >"$BATS_TEST_TMPDIR/r.json"
    update --resources "$BATS_TEST_TMPDIR/r.json"
    inside /probe open /dev/kmsg r , open /dev/kmsg w , open /dev/null w
    [ "$output" = "$(printf '%s\n' 'open 0' 'open error EPERM' 'open 0')" ]
    # other limits do not bring the old rules back
    echo '{"devices": [{"allow": false, "access": "rwm"}]}' >"$BATS_TEST_TMPDIR/r.json"
    update --resources "$BATS_TEST_TMPDIR/r.json"
    inside /probe open /dev/kmsg r , open /dev/null w
    [ "$output" = "$(printf '%s\n' 'open error EPERM' 'open 0')" ]
    down
}

@test "update --blkio-weight and --cpu-burst write their files, or say that there is none" {
    needs cpu blkio
    resources '{"cpu": {"quota": 50000, "period": 100000}}'
    up
    update --cpu-burst 1000
    [ "$(content cpu cpu.cfs_burst_us cpu.max.burst)" = 1000 ]
    if [ -n "$(find "$(dir_of blkio)" -regex '.*/\(io\|blkio\)\.\(bfq\.\)?weight')" ]; then
        update --blkio-weight 200
    else
        refuses linux.resources.blockIO.weight --blkio-weight 200
    fi
    refuses 'is not in 10..1000' --blkio-weight 5
    down
}

@test "update accepts and ignores limits of kernel memory" {
    up
    update --kernel-memory 10m --kernel-memory-tcp 10m
    down
}

# ------------------------------------------------------------------------------------------------------------------------------- events

# A kernel that counts time by its ticks may not have seen a short program at all: a few more, then.
has_used() {
    inside /probe memory 4
    run drupe events --stats "$ID"
    jq -e '.data | .cpu.usage.total > 0 and .memory.usage.usage > 0' <<<"$output"
}

@test "events --stats prints one line with everything callers look for" {
    needs memory pids cpu
    resources '{"pids": {"limit": 50}, "memory": {"limit": 67108864}}'
    # With cgroup v2 a controller is on where something is to be set.
    ! has cpuset || resources '{"cpu": {"cpus": "0"}}'
    up
    wait_for 30 has_used
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" = 1 ]
    jq -e --arg id "$ID" '.type == "stats" and .id == $id' <<<"$output"
    jq -e '.data | .memory.usage.limit == 67108864 and .pids == {current: 1, limit: 50}' <<<"$output"
    jq -e '.data | [.cpu.throttling.periods, .cpu.usage.user, .cpu.usage.kernel, .memory.cache, .memory.swap.usage, .memory.kernel.usage,
        .memory.kernelTCP.limit, (.memory.raw | length)] | all(type == "number")' <<<"$output"
    ! has cpuset || jq -e '.data.cpuset | [.cpus[0], .mems[0]] | all(type == "number")' <<<"$output"
    jq -e '.data | (.blkio | type) == "object" and (.hugetlb | type) == "object" and (.intel_rdt | type) == "object"' <<<"$output"
    [ ! -e /proc/pressure/cpu ] || [ ! -e /sys/fs/cgroup/unified ] || jq -e '.data.cpu.psi.some.total >= 0' <<<"$output"
    down
}

@test "events --stats of several containers prints a line for each" {
    up
    args /probe trap
    detached run --detach --bundle "$BUNDLE" "$ID-b"
    run drupe events --stats "$ID" "$ID-b"
    [ "$status" -eq 0 ]
    [ "$(jq -r .id <<<"$output")" = "$ID
$ID-b" ]
    drupe delete --force "$ID-b"
    down
}

@test "events counts the traffic of the container's own network only" {
    up
    run drupe events --stats "$ID"
    jq -e '.data.network_interfaces | map(select(.Name == "lo")) == []' <<<"$output"
    down
    config '.linux.namespaces |= map(select(.type != "network"))'
    args /probe trap
    detached run --detach --bundle "$BUNDLE" "$ID"
    run drupe events --stats "$ID"
    jq -e '.data.network_interfaces == []' <<<"$output"
    down
}

lines_of_events() { [ "$(wc -l <"$EVENTS")" -ge "$1" ]; }

@test "events prints statistics at each interval and ends with the container" {
    up
    drupe events --interval 50ms "$ID" >"$EVENTS" 3>&- &
    wait_for 10 lines_of_events 3
    down
    wait $!
    [ "$(jq -r .type "$EVENTS" | sort -u)" = stats ]
}

@test "events tells when something runs out of memory, once, and not the end of the container" {
    needs memory
    resources '{"memory": {"limit": 16777216, "swap": 16777216}}'
    up
    drupe events --interval 1h "$ID" >"$EVENTS" 2>"$EVENTS.err" 3>&- &
    events=$!
    wait_for 5 watches
    inside /probe memory 64
    [ "$status" -eq 137 ]
    wait_for 5 lines_of_events 1
    down
    wait $events
    cat "$EVENTS" "$EVENTS.err"
    [ "$(cat "$EVENTS")" = "{\"type\":\"oom\",\"id\":\"$ID\"}" ]
}

# The runtime holds what the kernel tells it by, and waits for that in poll(2).
watches() {
    local pid
    for pid in $(pgrep -f -- "--root $ROOT .*events"); do
        find "/proc/$pid/fd" -lname 'anon_inode:*' -printf '%l\n' 2>/dev/null | grep -qE 'eventfd|inotify' && in_poll "$pid" && return 0
    done
    return 1
}

@test "events tells that the first process was killed for memory" {
    needs_cgroupfs 'systemd removes the cgroup, and what was counted in it, with its last process'
    needs memory
    resources '{"memory": {"limit": 16777216, "swap": 16777216}}'
    args /probe memory 64
    detached create --bundle "$BUNDLE" "$ID"
    drupe events --interval 1h "$ID" >"$EVENTS" 3>&- &
    events=$!
    wait_for 5 watches
    drupe start "$ID"
    wait $events
    [ "$(cat "$EVENTS")" = "{\"type\":\"oom\",\"id\":\"$ID\"}" ]
    down
}

@test "events of a stopped container, an unknown one, or with a wrong interval is an error" {
    run drupe events --stats "$ID"
    [ "$status" -eq 1 ]
    [[ "$output" == *'does not exist'* ]]
    args /bin/true
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 eval '[ "$(drupe state "$ID" | jq -r .status)" = stopped ]'
    run drupe events "$ID"
    [ "$status" -eq 1 ]
    [[ "$output" == *'container not running'* ]]
    drupe delete "$ID"
    for interval in 0 x 5; do
        run drupe events --interval $interval "$ID"
        [ "$status" -eq 1 ]
        [[ "$output" == *--interval* ]]
    done
    run drupe events --interval
    [[ "$output" == *'flag needs an argument'* ]]
}

@test "events says when nobody can read it" {
    up
    run bash -c "'$RUNTIME' --root '$ROOT' events --stats '$ID' >/dev/full"
    [ "$status" -eq 1 ]
    [[ "$output" == *'standard output'* ]]
    down
}
