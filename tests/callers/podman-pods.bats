# shellcheck disable=SC2016 # texts for the inner shell
# podman as root, from Debian's packages: pods, Kubernetes YAML, images, networks.
# Needs: podman conmon runc crun jq
load callers
load podman

# The image's own address on podman's default bridge.
address() { pod inspect --format '{{.NetworkSettings.IPAddress}}' "$1"; }

@test "pods" {
    steps() {
        pod pod create --name p --network none --hostname podname
        pod run -d --pod p --name one "$IMAGE" sh -c 'sleep 1000; true' first
        pod run -d --pod p --name two "$IMAGE" sleep 1000
        is podname pod exec two hostname
        is "$(pod exec one readlink /proc/self/ns/net)" pod exec two readlink /proc/self/ns/net
        is "$(pod exec one readlink /proc/self/ns/ipc)" pod exec two readlink /proc/self/ns/ipc
        [ "$(pod exec one readlink /proc/self/ns/pid)" != "$(pod exec two readlink /proc/self/ns/pid)" ]
        is together prun --pod p "$IMAGE" echo together
        pod pod pause p
        is Paused pod pod inspect --format '{{.State}}' p
        pod pod unpause p
        pod pod top p
        pod pod stop --time 0 p
        is Exited pod pod inspect --format '{{.State}}' p
        pod pod start p
        is podname pod exec two hostname
        pod pod rm --force --time 0 p
        [ -z "$(pod ps --all --quiet)" ]
    }
    compare 'pod create, run, pause, stop, start, rm'
}

@test "a pod that shares its process namespace" {
    steps() {
        pod pod create --name p --network none --share pid,net,ipc,uts
        pod run -d --pod p --name one "$IMAGE" sh -c 'sleep 1000; true' first
        has first pod run --rm --pod p "$IMAGE" sh -c 'cat /proc/[0-9]*/cmdline'
        pod stop --time 0 one
        pod pod rm --force --time 0 p
    }
    compare 'pod --share pid'
}

@test "play kube" {
    steps() {
        mkdir "$BATS_TEST_TMPDIR/$RT"
        cat >"$BATS_TEST_TMPDIR/$RT.yaml" <<-END
		apiVersion: v1
		kind: ConfigMap
		metadata: {name: settings}
		data: {colour: blue}
		---
		apiVersion: v1
		kind: Pod
		metadata: {name: k, labels: {app: k}}
		spec:
		  restartPolicy: Never
		  volumes:
		  - {name: data, hostPath: {path: "$BATS_TEST_TMPDIR/$RT", type: Directory}}
		  initContainers:
		  - {name: before, image: "$IMAGE", imagePullPolicy: Never, command: [sh, -c, "echo made >/data/first"], volumeMounts: [{name: data, mountPath: /data}]}
		  containers:
		  - name: main
		    image: $IMAGE
		    imagePullPolicy: Never
		    command: [sh, -c, "echo \$COLOUR \$(cat /data/first) \$(id -u) >/data/second; sleep 1000; true"]
		    env: [{name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}]
		    volumeMounts: [{name: data, mountPath: /data}]
		    securityContext: {runAsUser: 0, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [DAC_OVERRIDE]}}
		    resources: {limits: {memory: 64Mi, cpu: 500m}}
		END
        pod play kube --network none "$BATS_TEST_TMPDIR/$RT.yaml"
        wait_for 10 grep -q . "$BATS_TEST_TMPDIR/$RT/second"
        is 'blue made 0' cat "$BATS_TEST_TMPDIR/$RT/second"
        is '67108864 50000' pod exec k-main sh -c 'cd /sys/fs/cgroup; echo $(cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us)'
        is 1 pod exec k-main awk '/^NoNewPrivs:/ { print $2 }' /proc/self/status
        has 'name: k' pod generate kube k
        pod play kube --down "$BATS_TEST_TMPDIR/$RT.yaml"
        [ -z "$(pod ps --all --quiet)" ]
    }
    compare 'play kube'
}

@test "build" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir "$dir"
        echo content >"$dir/file"
        cat >"$dir/Containerfile" <<-END
		FROM $IMAGE AS first
		ARG WHAT=default
		COPY file /copied
		RUN echo \$WHAT-\$(cat /copied) >/made && test "\$(id -u)" = 0
		USER 1000
		WORKDIR /tmp
		RUN echo \$(id -u) \$PWD >/tmp/who
		FROM $IMAGE
		COPY --from=first /made /tmp/who /
		RUN --mount=type=tmpfs,dst=/scratch touch /scratch/x
		RUN mkdir /d && chown 1000:1000 /d && mknod /d/p p
		CMD ["cat", "/made", "/who"]
		END
        ends 0 pod build --network none --build-arg WHAT=given -t "built-$RT" "$dir"
        [[ $output != *warning* ]]
        is 'given-content
1000 /tmp' prun "built-$RT"
        ends 7 pod build --network none -f - "$dir" <<<"FROM $IMAGE
RUN exit 7"
        ends 1 pod build --network none -f - "$dir" <<<"FROM $IMAGE
RUN [\"nosuchprogram\"]"
        [[ $output == *"executable file"*"not found in \$PATH"* || $output == *'executable file `nosuchprogram` not found'* ]]
        podman rmi "built-$RT"
    }
    compare 'build'
}

@test "network: the default bridge" {
    steps() {
        pod run -d --name web "$IMAGE" sh -c 'mkdir /w && echo served >/w/index.html && exec httpd -f -h /w'
        wait_for 10 pod exec web wget -q -O /dev/null http://127.0.0.1/
        is served prun --network podman "$IMAGE" wget -q -O - "http://$(address web)/"
        has 'inet ' prun --network podman "$IMAGE" ip addr show eth0
        [ -n "$(find /run/netns -type f)" ]
    }
    compare 'network: bridge'
}

@test "network: a published port" {
    steps() {
        pod run -d --name web -p 127.0.0.1:8088:80 "$IMAGE" sh -c 'mkdir /w && echo served >/w/index.html && exec httpd -f -h /w'
        wait_for 10 fetched
        has 8088 pod port web
    }
    fetched() { [ "$(busybox wget -q -O - http://127.0.0.1:8088/)" = served ]; }
    compare 'network: published port'
}

@test "network: one of its own, two of them" {
    steps() {
        pod network create --subnet 10.77.1.0/24 "n1-$RT"
        pod network create --subnet 10.77.2.0/24 "n2-$RT"
        has '10.77.1.7/24' prun --network "n1-$RT" --ip 10.77.1.7 "$IMAGE" ip -o addr show eth0
        pod run -d --name c --network "n1-$RT" "$IMAGE" sleep 1000
        pod network connect "n2-$RT" c
        has 10.77.2. pod exec c ip -o addr show eth1
        pod network disconnect "n2-$RT" c
        ends 1 pod exec c ip -o addr show eth1
        pod rm --force --time 0 c
        pod network rm "n1-$RT" "n2-$RT"
    }
    compare 'network: create, connect, disconnect'
}

@test "several at once" {
    steps() {
        local i
        for i in 1 2 3 4 5 6; do
            prun "$IMAGE" echo "number $i" >"$BATS_TEST_TMPDIR/$RT-$i" &
        done
        wait
        is 'number 1
number 2
number 3
number 4
number 5
number 6' cat "$BATS_TEST_TMPDIR/$RT"-{1,2,3,4,5,6}
    }
    compare 'several at once'
}

@test "checkpoint: what podman asks of a runtime before it tries" {
    steps() {
        pod run -d --net none --name c "$IMAGE" sleep 1000
        ends 125 pod container checkpoint c
        has CRIU echo "$output"
        is running pod inspect --format '{{.State.Status}}' c
    }
    criu --version 2>/dev/null | grep -q 'Version: 3.1[0-6]\|Version: [4-9]' && skip 'this machine has criu'
    compare 'checkpoint: refused without criu'
}
