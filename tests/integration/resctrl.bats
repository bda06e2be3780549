#!/usr/bin/env bats
# shellcheck disable=SC2016 # jq programs
# linux.intelRdt. What is done in a resctrl file system is tested on a fake one (tests/unit/test_resctrl.c); here is what a machine
# without it does, which is most of them, and, where there is a real one, that the container is in its class.
load helpers

RESCTRL=$(findmnt -n -o TARGET -t resctrl | tail -n 1)

setup() {
    begin_test
    setup_bundle
    CLASSES=()
}

teardown() {
    for class in "${CLASSES[@]}"; do rmdir "$class"; done
    end_test
}

without_resctrl() { [ -z "$RESCTRL" ] || skip "this machine has resctrl mounted at $RESCTRL"; }
with_resctrl() { [ -n "$RESCTRL" ] || skip 'needs a mounted resctrl (processor with RDT or QoS)'; }

# Nothing of a container that was refused is there; the leak check looks for the rest.
nothing_left() {
    run ! drupe state "$(container_id)"
    [ -z "$(ls -A "$ROOT")" ]
}

@test "without resctrl, a config with intelRdt is refused in one line, and nothing is left" {
    without_resctrl
    for rdt in '{}' '{ closID: "gold" }' '{ closID: "/" }' '{ l3CacheSchema: "L3:0=f" }' '{ enableMonitoring: true }'; do
        config ".linux.intelRdt = $rdt"
        run -1 drupe create --bundle "$BUNDLE" "$(container_id)"
        [[ "$output" == *'linux.intelRdt: no resctrl file system is mounted' ]]
        [ "${#lines[@]}" -eq 1 ]
        nothing_left
        run -1 drupe run --bundle "$BUNDLE" "$(container_id)"
        nothing_left
        run -1 drupe plan "$BUNDLE"
        [[ "$output" == *'linux.intelRdt: no resctrl file system is mounted' ]]
    done
}

@test "a directory at the usual place that is no resctrl does not count as one" {
    without_resctrl
    [ -d /sys/fs/resctrl ] || skip 'the kernel has no /sys/fs/resctrl to mount on'
    mount -t tmpfs resctrl /sys/fs/resctrl
    UNMOUNT+=(/sys/fs/resctrl)
    mkdir /sys/fs/resctrl/gold
    touch /sys/fs/resctrl/gold/tasks
    config '.linux.intelRdt = { closID: "gold" }'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *'linux.intelRdt: no resctrl file system is mounted' ]]
    [ ! -s /sys/fs/resctrl/gold/tasks ]
}

@test "a class of more than one name and a schema of more than one line are refused anywhere" {
    config '.linux.intelRdt = { closID: "../gold" }'
    run -1 drupe check "$BUNDLE"
    [[ "$output" == *'linux.intelRdt.closID: "../gold" is neither one file name nor "/"'* ]]
    config '.linux.intelRdt = { l3CacheSchema: "L3:0=f\nMB:0=1" }'
    run -1 drupe check "$BUNDLE"
    [[ "$output" == *'linux.intelRdt.l3CacheSchema: must be one line'* ]]
}

@test "features name intelRdt, its schemata and its monitoring" {
    run -0 drupe features
    jq -e '.linux.intelRdt == { enabled: true, schemata: true, monitoring: true }' <<<"$output"
}

@test "the container and what joins it by exec are in the class of its id, which goes with it" {
    with_resctrl
    local id
    id=$(container_id)
    args sleep 1000
    config '.linux.intelRdt = {}'
    detached create --bundle "$BUNDLE" "$id"
    grep -qx "$(drupe state "$id" | jq -r .pid)" "$RESCTRL/$id/tasks"
    drupe start "$id"
    detached exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$id" sleep 1000
    grep -qx "$(cat "$BATS_TEST_TMPDIR/pid")" "$RESCTRL/$id/tasks"
    drupe delete --force "$id"
    [ ! -e "$RESCTRL/$id" ]
}

@test "a class by a name must exist when nothing tells what it allows, and stays" {
    with_resctrl
    local class
    class=$(container_id class)
    config --arg class "$class" '.linux.intelRdt = { closID: $class }'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"linux.intelRdt.closID: there is no class $RESCTRL/$class,"* ]]
    nothing_left
    mkdir "$RESCTRL/$class"
    CLASSES+=("$RESCTRL/$class")
    run_container
    [ "$status" -eq 0 ]
    [ -d "$RESCTRL/$class" ]
}

@test "a schema that the kernel refuses is refused with the kernel's reason, and no class is left" {
    with_resctrl
    config '.linux.intelRdt = { schemata: ["XX:0=1"] }'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *'linux.intelRdt.schemata[0]: writing "XX:0=1" to '*"(Unknown or unsupported resource name 'XX')" ]]
    [ ! -e "$RESCTRL/$(container_id)" ]
    nothing_left
}

@test "update of a class, without resctrl, says so and leaves the limits" {
    without_resctrl
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" "$(container_id)"
    before=$(drupe state "$(container_id)" | jq .pid)
    run -1 drupe update --l3-cache-schema 'L3:0=f' --pids-limit 7 "$(container_id)"
    [[ "$output" == *'no resctrl file system is mounted' ]]
    [ "${#lines[@]}" -eq 1 ]
    [ ! -e "$ROOT/$(container_id)/resources.json" ]
    drupe events --stats "$(container_id)" | jq -e '.data.intel_rdt == {}'
    [ "$(drupe state "$(container_id)" | jq .pid)" = "$before" ]
    drupe delete --force "$(container_id)"
}
