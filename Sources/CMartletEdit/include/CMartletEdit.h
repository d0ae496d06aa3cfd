#pragma once

/// A line from the terminal, edited with libedit; the caller frees it. Null at the end of the input.
char *martlet_edit_line(const char *prompt);
/// Remembers a line.
void martlet_edit_remember(const char *line);
/// The remembered lines of earlier runs; nothing happens where there are none.
void martlet_edit_load(const char *path);
/// Keeps the newest `lines` remembered lines.
void martlet_edit_save(const char *path, int lines);
