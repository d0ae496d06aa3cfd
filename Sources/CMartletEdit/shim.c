#include "CMartletEdit.h"
#include <editline/readline.h>

char *martlet_edit_line(const char *prompt) { return readline(prompt); }

void martlet_edit_remember(const char *line) { add_history(line); }

void martlet_edit_load(const char *path) {
    using_history();
    read_history(path);
}

void martlet_edit_save(const char *path, int lines) {
    stifle_history(lines);
    write_history(path);
}
