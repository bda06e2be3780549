#!/usr/bin/env bats
# shellcheck disable=SC2016 # jq programs
# Labels of AppArmor by effect: where the kernel has it and its parser is installed (tools/lane uml --apparmor).
load helpers

setup() {
    begin_test
    [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || skip 'needs a kernel with AppArmor active'
    command -v apparmor_parser >/dev/null || skip 'needs apparmor_parser'
    setup_bundle
    PROFILE=drupe-$TOKEN
    apparmor_parser -rK <<END
profile $PROFILE flags=(attach_disconnected) { file, capability, signal, ptrace, unix, network, deny /etc/secret r, }
END
    echo hidden >"$BUNDLE/rootfs/etc/secret"
}

teardown() {
    [ -z "${PROFILE-}" ] || echo "profile $PROFILE {}" | apparmor_parser -RK 2>/dev/null || true
    end_test
}

@test "the profile of the config confines the first process and what exec adds" {
    config --arg p "$PROFILE" '.process.apparmorProfile = $p'
    args /bin/sh -c 'cat /proc/self/attr/current; cat /etc/secret; true'
    run_container
    [ "$status" -eq 0 ]
    [[ "$output" == *"$PROFILE (enforce)"* ]]
    [[ "$output" == *"Permission denied"* ]]
    [[ "$output" != *hidden* ]]

    args /bin/sleep 60
    detached run --detach --bundle "$BUNDLE" "$(container_id)"
    run drupe exec "$(container_id)" /bin/sh -c 'cat /proc/self/attr/current; cat /etc/secret; true'
    [[ "$output" == *"$PROFILE (enforce)"* ]]
    [[ "$output" != *hidden* ]]
    # a process that names no profile has the container's
    echo '{"cwd": "/", "args": ["/bin/cat", "/proc/self/attr/current"], "env": ["PATH=/bin"]}' >"$BATS_TEST_TMPDIR/p.json"
    run drupe exec --process "$BATS_TEST_TMPDIR/p.json" "$(container_id)"
    drupe delete --force "$(container_id)"
    [[ "$output" == *"$PROFILE (enforce)"* ]]
}

@test "without a profile nothing is confined" {
    args /bin/sh -c 'cat /proc/self/attr/current; cat /etc/secret'
    run_container
    [ "$status" -eq 0 ]
    [[ "$output" == *hidden* ]]
}

@test "a profile that is not loaded is an error, and nothing runs" {
    config '.process.apparmorProfile = "drupe-no-such-profile"'
    args /bin/echo ran
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" != *ran* ]]
    [[ "$output" == *drupe-no-such-profile* ]]
}
