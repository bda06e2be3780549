#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for inner shells
# Containers in virtual machines of their own: needs a KVM that can run one (in the nested lane, tools/lane nested test vm) and the guest
# kernel, as build/guest-kernel/vmlinux or DRUPE_GUEST_KERNEL.
load helpers

VMBOOT=$(dirname "$PROBE")/../../hwvirt-sandbox/vmboot

setup() {
    begin_test
    local verdict
    verdict=$("$VMBOOT" --probe) || skip "$verdict"
    export DRUPE_GUEST_KERNEL=${DRUPE_GUEST_KERNEL:-$TOP/build/guest-kernel/vmlinux}
    [ -f "$DRUPE_GUEST_KERNEL" ] || skip "no guest kernel ($DRUPE_GUEST_KERNEL)"
    DRUPE_TIMEOUT=300
    setup_bundle
}

script() { args /bin/sh -c "$1"; }

run_vm() {
    run drupe run --vm --bundle "$BUNDLE" "$TOKEN"
    output=${output//$'\r'/}
    echo "$output"
}

@test "run: another kernel, the container's files, its output and its status" {
    script 'uname -r; echo to stderr >&2; echo new >/new; cat /etc/passwd; exit 3'
    run_vm
    [ "$status" = 3 ]
    [ "${lines[0]}" != "$(uname -r)" ]
    [[ ${lines[0]} == 6.1.* ]]
    grep -qx 'to stderr' <<<"$output"
    grep -q '^root:x:0:0' <<<"$output"
    [ "$(cat "$BUNDLE/rootfs/new")" = new ]
}
