#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_TEXT_MAX 1024 /* bytes of one record, longer ones are cut */

static struct log_sink sink; /* the program's only global: no sink drops everything */

struct log_sink log_set_sink(struct log_sink s)
{
	struct log_sink before = sink;

	sink = s;
	return before;
}

void log_put(enum log_level level, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX];
	va_list ap;

	if (!sink.put || level > sink.max)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sink.put(sink.ctx, level, text);
}
