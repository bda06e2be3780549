/* shapes.h - tables that more than one file of oci/ uses (and the tests that walk them); not for other directories */
#pragma once
#include "oci/decode.h"

extern const struct shape shape_oci_spec, shape_oci_process, shape_oci_linux, shape_oci_resources, shape_oci_seccomp, shape_oci_vm,
	shape_oci_id_map, shape_oci_state;
