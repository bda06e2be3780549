# shellcheck disable=SC2016 # texts for the inner shell
# Kubernetes' way to containerd: the container runtime interface, with the handler that docs/containerd.md registers.
# Needs: containerd ctr containerd-shim-runc-v2 runc crun jq python3 curl
load callers
load containerd
CALLER='containerd (CRI)'

setup_file() {
    [ -x /usr/lib/cni/bridge ] || { echo 'needs the package containernetworking-plugins'; return 1; }
    mkdir -p /etc/cni/net.d "$WORLD/logs"
    echo '{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}' >/etc/cni/net.d/10-pods.conflist
    "$BATS_TEST_DIRNAME/image" "$WORLD/busybox.tar"
    "$BATS_TEST_DIRNAME/image" "$WORLD/pause.tar" pause:test sleep 1000000
    begin_containerd
    ctr_k8s images import "$WORLD/busybox.tar"
    ctr_k8s images import "$WORLD/pause.tar"
}

ctr_k8s() { timeout -k 5 120 /usr/bin/ctr --namespace k8s.io "$@"; }
cri() { "$BATS_TEST_DIRNAME/cri" "$@"; }

# The handler of the RuntimeClass in the documentation, or that of another runtime.
handler() {
    local name
    name=$(snippet containerd.md runtimeclass.yaml | sed -n 's/^handler: //p')
    if [ "$RT" = drupe ]; then echo "$name"; else echo "$RT"; fi
}

# pod [JQ-PROGRAM]: a sandbox, changed by the program; its id is $pod, what it was made from $sandbox.
pod() {
    sandbox=$(jq -nc --arg uid "$RT-$RANDOM" --arg logs "$WORLD/logs" '{metadata: {name: "pod", uid: $uid, namespace: "default"}, hostname: "podhost",
        log_directory: $logs, linux: {cgroup_parent: "/kubepods/pod", security_context: {}}}' | jq -c "${1:-.}")
    pod=$(cri RunPodSandbox "$(jq -nc --argjson config "$sandbox" --arg handler "$(handler)" '{config: $config, runtime_handler: $handler}')" |
        jq -r .pod_sandbox_id)
    [ -n "$pod" ]
}

# container NAME JQ-PROGRAM COMMAND...: in $pod, started; its id is $container.
container() {
    local config
    config=$(jq -nc --arg name "$1" --arg image "$IMAGE" '{metadata: {name: $name}, image: {image: $image}, log_path: ($name + ".log"),
        command: $ARGS.positional, linux: {resources: {}, security_context: {}}}' --args -- "${@:3}" | jq -c "$2")
    container=$(cri CreateContainer "$(jq -nc --arg pod "$pod" --argjson config "$config" --argjson sandbox "$sandbox" \
        '{pod_sandbox_id: $pod, config: $config, sandbox_config: $sandbox}')" | jq -r .container_id)
    [ -n "$container" ] || return 1
    cri StartContainer "{\"container_id\": \"$container\"}"
}

# exec_sync COMMAND...: its output, and its status.
exec_sync() {
    local answer
    answer=$(cri ExecSync "$(jq -nc --arg id "$container" '{container_id: $id, cmd: $ARGS.positional, timeout: 20}' --args -- "$@")") || return 125
    jq -rj '.stdout + .stderr' <<<"$answer"
    return "$(jq .exit_code <<<"$answer")"
}

# CREATED 0, RUNNING 1, EXITED 2
state() { cri ContainerStatus "{\"container_id\": \"$container\"}" | jq -r '"\(.status.state) \(.status.exit_code)"'; }
state_is() { [ "$(state)" = "$1" ]; }
reason() { cri ContainerStatus "{\"container_id\": \"$container\"}" | jq -r .status.reason; }

after_steps() {
    local id
    for id in $(cri ListPodSandbox | jq -r '.items[].id'); do
        cri StopPodSandbox "{\"pod_sandbox_id\": \"$id\"}" && cri RemovePodSandbox "{\"pod_sandbox_id\": \"$id\"}" || return 1
    done
    wait_for 10 no_pod_left
}
no_pod_left() {
    [ -z "$(find /run/containerd/runc/k8s.io /run/containerd/io.containerd.runtime.v2.task/k8s.io /sys/fs/cgroup -type d \
        \( -path '*/k8s.io/*' -o -path '*/kubepods/pod/*' \) 2>/dev/null)" ]
}

@test "a pod: sandbox, container, log, exec, stop" {
    steps() {
        pod
        container c '.' sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.05; done'
        is '1 0' state
        wait_for 10 grep -q 'stdout F started' "$WORLD/logs/c.log"
        is hello exec_sync echo hello
        ends 7 exec_sync sh -c 'exit 7'
        is podhost exec_sync hostname
        cri StopContainer "{\"container_id\": \"$container\", \"timeout\": 20}"
        is '2 3' state
        cri RemoveContainer "{\"container_id\": \"$container\"}"
    }
    compare 'pod: sandbox, container, log, exec, stop'
}

@test "a pod's containers share network and IPC, not processes" {
    steps() {
        local first
        pod '.linux.security_context.namespace_options = {pid: 1}'
        container c1 '.linux.security_context.namespace_options = {pid: 1}' sh -c 'mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www'
        first=$(exec_sync sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc')
        container c2 '.linux.security_context.namespace_options = {pid: 1}' sleep 1000
        is "$first" exec_sync sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc'
        wait_for 10 exec_sync wget -q -O /dev/null http://127.0.0.1/
        is served exec_sync wget -q -O - http://127.0.0.1/
        has 10.88. exec_sync ip -o -4 addr show eth0
        [[ $(exec_sync ps) != *httpd* ]]
    }
    compare 'pod: shared namespaces, CNI'
}

@test "a pod with one process namespace, and one with the machine's network" {
    steps() {
        pod '.linux.security_context.namespace_options = {pid: 0}'
        container c1 '.linux.security_context.namespace_options = {pid: 0}' sleep 1001
        container c2 '.linux.security_context.namespace_options = {pid: 0}' sleep 1002
        has 'sleep 1001' exec_sync ps
        pod 'del(.hostname) | .linux.security_context.namespace_options = {network: 2}'
        container c3 '.linux.security_context.namespace_options = {network: 2}' sleep 1003
        [ "$(exec_sync readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
    }
    compare 'pod: shared process namespace, host network'
}

@test "security context, mounts, environment" {
    steps() {
        mkdir -p "$BATS_TEST_TMPDIR/$RT"
        pod '.linux.sysctls = {"net.core.somaxconn": "1000"}'
        container c '.working_dir = "/tmp" | .envs = [{key: "A", value: "b c"}] | .mounts = [{container_path: "/data", host_path: "'"$BATS_TEST_TMPDIR/$RT"'", readonly: 1}]
            | .linux.security_context = {run_as_user: {value: 1000}, run_as_group: {value: 1000}, supplemental_groups: [2000], readonly_rootfs: 1, no_new_privs: 1,
                capabilities: {drop_capabilities: ["ALL"]}, seccomp: {profile_type: 0}, masked_paths: ["/proc/kcore"], readonly_paths: ["/proc/sys"]}' sleep 1000
        is 'uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)' exec_sync id
        is '/tmp b c 1000' exec_sync sh -c 'echo "$(pwd) $A $(cat /proc/sys/net/core/somaxconn)"'
        ends 1 exec_sync touch /x
        ends 1 exec_sync touch /data/x
        is '0000000000000000 1 2' exec_sync sh -c 'echo $(sed -n "s/CapBnd:.//p; s/NoNewPrivs:.//p; s/Seccomp:.//p" /proc/self/status)'
    }
    compare 'pod: security context, mounts, environment'
}

@test "limits, their update, and an OOM kill" {
    steps() {
        local quota=cpu.max memory=memory.max
        [ ! -d /sys/fs/cgroup/memory ] || quota=cpu.cfs_quota_us memory=memory.limit_in_bytes
        pod
        container c '.linux.resources = {memory_limit_in_bytes: 33554432, cpu_quota: 50000, cpu_period: 100000}' sleep 1000
        is 33554432 sh -c "cat /sys/fs/cgroup/memory/kubepods/pod/$container/$memory /sys/fs/cgroup/kubepods/pod/$container/$memory 2>/dev/null; true"
        cri UpdateContainerResources "{\"container_id\": \"$container\", \"linux\": {\"memory_limit_in_bytes\": 67108864, \"cpu_quota\": 20000}}"
        is 67108864 sh -c "cat /sys/fs/cgroup/memory/kubepods/pod/$container/$memory /sys/fs/cgroup/kubepods/pod/$container/$memory 2>/dev/null; true"
        has 20000 sh -c "cat /sys/fs/cgroup/cpu/kubepods/pod/$container/$quota /sys/fs/cgroup/kubepods/pod/$container/$quota 2>/dev/null; true"
        container d '.linux.resources.memory_limit_in_bytes = 16777216' sh -c 'x=x; while :; do x=$x$x; done'
        wait_for 20 state_is '2 137'
        # The shim may not come to look before the cgroup goes with the container: this one lives on.
        container e '.linux.resources.memory_limit_in_bytes = 16777216' sh -c '(x=x; while :; do x=$x$x; done); exec sleep 1000'
        wait_for 20 is OOMKilled reason
    }
    compare 'pod: limits, update, OOMKilled'
}

@test "privileged" {
    steps() {
        pod '.linux.security_context.privileged = 1'
        container c '.linux.security_context.privileged = 1' sleep 1000
        exec_sync mount -t tmpfs x /mnt
    }
    compare 'pod: privileged'
}

@test "a container that can't start" {
    steps() {
        pod
        ends 1 container c . nosuchprogram
        [[ $output == *nosuchprogram* ]]
    }
    compare 'pod: a container that cannot start'
}
