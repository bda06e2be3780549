/* ns_parts.h - the parts of ns_plan_build(), inside namespaces/ only */
#pragma once
#include "namespaces/ns.h"

/* Created and joined namespaces together. */
uint32_t ns_plan_own(const struct ns_plan *p);

/* Fills the id maps; the namespaces of *p are decided already. */
must_check int ns_plan_maps(const struct oci_spec *spec, const struct host *h, struct arena *a, struct ns_plan *p, struct err *e);

/* Checks and normalises linux.sysctl; namespaces and id maps are decided already. */
must_check int ns_plan_sysctl(const struct oci_spec *spec, struct arena *a, struct ns_plan *p, struct err *e);
