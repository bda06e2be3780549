#!/usr/bin/env bats
# What a lane promises to the suites that run in it, shown by effect. Run by `tools/lane ENGINE [--systemd] [--apparmor] test
# lane-selftest`; on the host there is nothing to show. Uses the distribution's runtimes, not ours.
bats_require_minimum_version 1.5.0

CGROUP=/sys/fs/cgroup/lane-selftest

setup() {
    [ -n "${DRUPE_LANE-}" ] || skip "not in a lane"
}

teardown() {
    [ ! -d $CGROUP ] || {
        echo 1 >$CGROUP/cgroup.kill
        for _ in $(seq 50); do
            rmdir $CGROUP 2>/dev/null && break
            sleep 0.1
        done
    }
    [ -z "${RUN_ID-}" ] || "$RUN_WITH" delete -f "$RUN_ID" || true
}

systemd() { [ "$(cat /proc/1/comm)" = systemd ]; }
nested() { [ "$DRUPE_LANE" = nested ]; }
apparmor() { [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; }

@test "lane: cgroup v2 with the controllers of this lane, enabled for children" {
    [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]
    for controller in cpu io memory pids; do
        [[ " $(cat /sys/fs/cgroup/cgroup.controllers) " == *" $controller "* ]]
    done
    mkdir $CGROUP
    [[ " $(cat $CGROUP/cgroup.controllers) " == *" memory "* ]]
    ! nested || [[ " $(cat $CGROUP/../cgroup.controllers) " == *" cpuset "*" hugetlb "*" rdma "* ]]
}

@test "lane: memory.max kills what exceeds it" {
    mkdir $CGROUP
    echo 16M >$CGROUP/memory.max
    echo 0 >$CGROUP/memory.swap.max
    run -137 sh -c "echo \$\$ >$CGROUP/cgroup.procs; head -c 64M /dev/zero | tail >/dev/null"
    grep -q '^oom_kill [1-9]' $CGROUP/memory.events
}

@test "lane: pids.max refuses a fork" {
    mkdir $CGROUP
    echo 2 >$CGROUP/pids.max
    run ! sh -c "echo \$\$ >$CGROUP/cgroup.procs; sleep 1 & sleep 1 & sleep 1 & wait"
    grep -q '^max [1-9]' $CGROUP/pids.events
}

@test "lane: cpu.max throttles" {
    mkdir $CGROUP
    echo '5000 100000' >$CGROUP/cpu.max
    timeout 1 sh -c "echo \$\$ >$CGROUP/cgroup.procs; while :; do :; done" || true
    awk '$1 == "nr_throttled" { n = $2 } END { exit !(n > 0) }' $CGROUP/cpu.stat
}

@test "lane: io.max slows writing to the disk on /var/tmp" {
    mkdir $CGROUP
    device=$(lsblk -n -o MAJ:MIN "$(findmnt -n -o SOURCE /var/tmp)" | tr -d ' ')
    echo "$device wbps=2097152" >$CGROUP/io.max
    start=$(date +%s%N)
    sh -c "echo \$\$ >$CGROUP/cgroup.procs; exec dd if=/dev/zero of=/var/tmp/slow bs=256k count=16 oflag=direct" 2>/dev/null
    [ $((($(date +%s%N) - start) / 1000000)) -ge 1000 ]
}

@test "lane: what the kernel needs for containers is there: overlayfs, veth, tun, fuse, loop, pty, message queues" {
    cd "$BATS_TEST_TMPDIR"
    mkdir l u w m
    mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m
    echo x >m/f && umount m && [ "$(cat u/f)" = x ]
    unshare -n ip link add v0 type veth peer name v1
    : <>/dev/net/tun
    : <>/dev/fuse
    truncate -s 4M image && mke2fs -q image && mount -o loop image m && umount m
    mountpoint -q /dev/pts && mountpoint -q /dev/mqueue && mountpoint -q /dev/shm
    [[ "$(ip addr show lo)" == *"127.0.0.1/8"* ]]
}

@test "lane: the wall clock is right" {
    [ "$(date +%Y)" -ge 2025 ]
}

@test "lane: the tree and the temporary directories can be written" {
    echo x >"${BATS_TEST_DIRNAME}/.lane-selftest"
    rm "${BATS_TEST_DIRNAME}/.lane-selftest"
    echo x >/etc/lane-selftest && rm /etc/lane-selftest
    [ "$(findmnt -n -o FSTYPE /tmp) $(findmnt -n -o FSTYPE /var/tmp)" = "tmpfs ext4" ]
}

container() {
    RUN_WITH=$1 RUN_ID=lane-$1-$$
    command -v "$1" >/dev/null || skip "no $1"
    b=$BATS_TEST_TMPDIR/bundle
    mkdir -p "$b/rootfs/bin"
    cp "$(command -v busybox)" "$b/rootfs/bin/busybox"
    ln -s busybox "$b/rootfs/bin/sh"
    (cd "$b" && "$1" spec)
    jq --arg path "/$RUN_ID" '.process.terminal = false | .process.args = ["sh", "-c", "echo in a container; exit 7"]
        | .linux.resources.memory.limit = 33554432 | .linux.cgroupsPath = $path' "$b/config.json" >"$b/c" && mv "$b/c" "$b/config.json"
    run -7 "$1" run -b "$b" "$RUN_ID"
    [[ "$output" == *"in a container"* ]]
}

@test "lane: runc runs a container" { container runc; }

@test "lane: crun runs a container" { container crun; }

@test "lane: an AppArmor profile confines" {
    apparmor || skip "no --apparmor"
    cat >"$BATS_TEST_TMPDIR/profile" <<'END'
profile lane-selftest flags=(attach_disconnected) {
    file,
    deny /tmp/** w,
}
END
    apparmor_parser -r -K "$BATS_TEST_TMPDIR/profile"
    grep -q '^lane-selftest (enforce)' /sys/kernel/security/apparmor/profiles
    run -0 sh -c 'echo exec lane-selftest >/proc/self/attr/exec && exec cat /proc/self/attr/current'
    [ "$output" = "lane-selftest (enforce)" ]
    run ! sh -c 'echo exec lane-selftest >/proc/self/attr/exec && exec touch /tmp/lane-selftest'
    [ ! -e /tmp/lane-selftest ]
    apparmor_parser -R -K "$BATS_TEST_TMPDIR/profile"
}

@test "lane: without --apparmor there is none" {
    ! apparmor || skip "with --apparmor"
    [ ! -e /sys/kernel/security/apparmor ]
}

@test "lane: systemd is up and runs a scope with a limit" {
    systemd || skip "no --systemd"
    run -0 timeout 60 systemctl is-system-running --wait
    [ "$output" = running ]
    # shellcheck disable=SC2016 # expanded in the scope
    run -0 systemd-run -q --scope -p MemoryMax=64M sh -c 'cat /sys/fs/cgroup$(sed s/0::// /proc/self/cgroup)/memory.max'
    [ "$output" = 67108864 ]
    run -0 busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Version
}

@test "lane: systemd runs a user's own manager" {
    systemd || skip "no --systemd"
    loginctl enable-linger lane
    for _ in $(seq 300); do [ -S /run/user/1000/bus ] && break || sleep 0.1; done
    run -0 setpriv --reuid=1000 --regid=1000 --init-groups env XDG_RUNTIME_DIR=/run/user/1000 \
        DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus systemctl --user show -p Version
}

@test "lane: /dev/kvm makes a virtual machine with memory and a CPU" {
    nested || skip "only in the nested lane"
    run -0 python3 - <<'END'
import fcntl, os
kvm = os.open("/dev/kvm", os.O_RDWR)
assert fcntl.ioctl(kvm, 0xAE00) == 12, "KVM_GET_API_VERSION"
vm = fcntl.ioctl(kvm, 0xAE01, 0)
cpu = fcntl.ioctl(vm, 0xAE41, 0)
print(vm, cpu)
END
}
