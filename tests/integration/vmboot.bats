#!/usr/bin/env bats
# The virtual machine of VM mode with a real kernel: needs a KVM that can run one (in the nested lane, tools/lane nested test vmboot) and
# the guest kernel, as build/guest-kernel/vmlinux or DRUPE_GUEST_KERNEL.
load helpers

PROGRAMS=$(dirname "$PROBE")

setup() {
    begin_test
    needs_vm
    initrd >"$BATS_TEST_TMPDIR/initrd"
    SHARE=$(mktemp -d -p /var/tmp vmboot.XXXXXX)
}

teardown() {
    [ -z "${SERVER-}" ] || kill "$SERVER" 2>/dev/null || true
    end_test
    [ -z "${SHARE-}" ] || rm -rf --one-file-system "$SHARE"
}

# entry NAME MODE SIZE [MAJOR MINOR]: a header of the cpio format "newc"
entry() {
    printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\0' \
        0 $((8#$2)) 0 0 1 0 "$3" 0 0 "${4-0}" "${5-0}" $((${#1} + 1)) 0 "$1"
    pad $((110 + ${#1} + 1))
}

pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }

# tests/lib/guest_init.c as /init, and the console it needs.
initrd() {
    local size
    size=$(stat -c %s "$PROGRAMS/guest_init")
    entry dev 40755 0
    entry dev/console 20600 0 5 1
    entry init 100755 "$size"
    cat "$PROGRAMS/guest_init"
    pad "$size"
    entry 'TRAILER!!!' 0 0
}

boot() {
    run timeout --foreground -k 5 "${VM_TIMEOUT:-300}" \
        "$VMBOOT" --kernel "$DRUPE_GUEST_KERNEL" --initrd "$BATS_TEST_TMPDIR/initrd" --share "$SHARE" "$@" 3>&-
    output=${output//$'\r'/}
    echo "$output"
}

@test "a kernel boots to its init, with its processors, entropy, a shared directory, a socket" {
    local sockets=$BATS_TEST_TMPDIR/sockets
    mkdir "$sockets"
    printf 'from the host' >"$SHARE/from-host"
    "$PROGRAMS/guest_init" serve "$sockets/1024" >"$BATS_TEST_TMPDIR/told" 3>&- &
    SERVER=$!
    wait_for 10 test -S "$sockets/1024"
    boot --cpus 2 --console --cmdline console=hvc0 --vsock "$sockets"
    [ "$status" = 0 ]
    grep -qx 'init 1' <<<"$output"
    grep -qx 'cpus 2' <<<"$output"
    grep -qx 'hwrng 63' <<<"$output"
    grep -qx 'share from the host' <<<"$output"
    grep -qx 'done' <<<"$output"
    [ "$(cat "$SHARE/from-guest")" = guest ]
    grep -qx 'vsock from the host' <<<"$output"
    wait "$SERVER"
    [ "$(cat "$BATS_TEST_TMPDIR/told")" = 'told from the guest' ]
}

@test "a kernel that panics ends the machine" {
    boot --serial --cmdline rdinit=/dev/console
    [ "$status" = 0 ]
    grep -q 'Kernel panic' <<<"$output"
    grep -q 'triple fault' <<<"$output"
}

@test "a kernel in too little memory is refused" {
    boot --mem 8
    [ "$status" = 125 ]
    grep -q 'the guest has no memory there' <<<"$output"
}
