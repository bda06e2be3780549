/* generate.h - manual pages and shell completions, from the tables that parse the command line
 *
 * A program of the build, not installed: what it writes is.
 */
#pragma once
#include "cli/cli.h"

/* What may be written for a flag's value or an operand. */
enum completes { COMPLETES_NOTHING, COMPLETES_FILE, COMPLETES_DIR, COMPLETES_CONTAINER, COMPLETES_COMMAND, COMPLETES_SIGNAL, COMPLETES_WORDS };

/* By the word of the help text: "DIR", "FILE", "CONTAINER"... words: for COMPLETES_WORDS, separated by blanks. */
enum completes what_completes(const char *label, struct arena *a, const char **words);
enum completes opt_completes(const struct opt *o, struct arena *a, const char **words);
bool opt_takes_value(const struct opt *o);

/* The operands of a command one by one, without brackets and dots: "CONTAINER", "SIGNAL"; NULL-terminated. */
const char *const *operand_labels(const struct command *cmd, struct arena *a);

/* Names that `kill` knows. */
extern const char *const signal_names[];

void generate_man(const struct command *cmd, struct strbuf *out); /* NULL: drupe(1) */
void generate_bash(struct strbuf *out);
void generate_zsh(struct strbuf *out);
void generate_fish(struct strbuf *out);
