# containerd.bash - containerd in the world of callers.bash; loaded after callers
#
#   begin_containerd      in setup_file: starts it with the configuration of docs/containerd.md and loads $IMAGE for each runtime
#   start_containerd      starts it again after it was killed ($WORLD/containerd.pid)
#   ctr ARG...            its client, in a namespace that belongs to the runtime under comparison, $RT
#   task_run ARG...       `ctr run` with this runtime
#   state_of ID           RUNNING, PAUSED, STOPPED or nothing
#   pid_of ID             the process, as seen from outside

IMAGE=docker.io/library/busybox:test

# What a machine as ours needs besides: no metrics to send, nothing below /opt; and oom scores that only grow, since to lower them takes
# a capability that a container of CI may lack.
begin_containerd() {
    local RT
    {
        echo 'version = 2'
        echo 'disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]'
        snippet containerd.md config.toml
        for RT in runc crun; do snippet containerd.md config.toml | sed "s|runtimes\.drupe|runtimes.$RT|; s|/usr.*/drupe|$(binary $RT)|"; done
        echo '[plugins."io.containerd.grpc.v1.cri"]'
        echo 'restrict_oom_score_adj = true'
        echo 'disable_hugetlb_controller = true'
        echo 'tolerate_missing_hugetlb_controller = true'
        echo 'sandbox_image = "docker.io/library/pause:test"'
        echo '[plugins."io.containerd.grpc.v1.cri".cni]'
        echo 'bin_dir = "/usr/lib/cni"'
    } >"$WORLD/config.toml"
    "$BATS_TEST_DIRNAME/image" "$WORLD/busybox.tar"
    start_containerd
    for RT in runc crun drupe; do ctr images import "$WORLD/busybox.tar" || return 1; done
}

start_containerd() {
    # shellcheck disable=SC2016 # for the inner shell
    daemon "$WORLD/containerd.log" sh -c 'echo $$ >"$WORLD/containerd.pid"
        exec containerd --config "$WORLD/config.toml" --root "$WORLD/containerd" --state /run/containerd'
    RT=drupe wait_for 30 ctr version >/dev/null && return
    cat "$WORLD/containerd.log"
    return 1
}

binary() { command -v "$1"; }
ctr() { timeout -k 5 120 /usr/bin/ctr --namespace "t-$RT" "$@"; }
task_run() { ctr run --runc-binary "$(binary "$RT")" "$@"; }
state_of() { ctr tasks ls | awk -v id="$1" '$1 == id { print $3 }'; }
pid_of() { ctr tasks ls | awk -v id="$1" '$1 == id { print $2 }'; }
in_state() { [ "$(state_of "$1")" = "$2" ]; }

# What steps left behind is removed, with --force: and then nothing may be left.
after_steps() {
    local RT id
    for RT in runc crun drupe; do
        for id in $(ctr tasks ls -q); do ctr tasks rm --force "$id"; done
        for id in $(ctr containers ls -q); do ctr containers rm "$id"; done
    done
    wait_for 10 nothing_left
}
nothing_left() {
    [ -z "$(find /run/containerd/runc /sys/fs/cgroup /run/containerd/io.containerd.runtime.v2.task -mindepth 2 -type d -path '*/t-*/*' 2>/dev/null)" ]
}
