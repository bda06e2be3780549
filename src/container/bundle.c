/* Reading a bundle: the directory, its config.json, and the words for what is wrong with them. */
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/str.h"
#include "container/container.h"

#include <errno.h>
#include <fcntl.h>

#define CONFIG_MAX JSON_TEXT_MAX

int bundle_load(const char *bundle, const char *config, struct arena *a, const struct oci_spec **spec, const char **text,
		const char **abs_bundle, struct err *e)
{
	char *content;
	const char *shown = bundle ? bundle : ".";
	auto_fd int dir = openat(AT_FDCWD, shown, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return err_errno(e, "bundle %s", shown);
	int r = path_of_fd(dir, a, abs_bundle, e);

	if (r < 0)
		return r;
	ssize_t n = file_read(dir, config ? config : "config.json", CONFIG_MAX, false, a, &content, e);

	if (n < 0)
		return config ? (int)n : err_in(e, "bundle %s", shown);
	if (oci_spec_parse(a, content, (size_t)n, spec, e) < 0)
		return config ? err_in(e, "%s", config) : err_in(e, "%s/config.json", shown);
	if (text)
		*text = content;
	return 0;
}
