#pragma once

#include <stddef.h>
#include <stdint.h>

/// A line from the terminal, edited with libedit; the caller frees it. Null at the end of the input, or, with
/// `is_interrupted` 1, where Ctrl-C gave the line up.
char *martlet_edit_line(const char *prompt, int *is_interrupted);
/// Remembers a line.
void martlet_edit_remember(const char *line);
/// The remembered lines of earlier runs; nothing happens where there are none.
void martlet_edit_load(const char *path);
/// Keeps the newest `lines` remembered lines.
void martlet_edit_save(const char *path, int lines);

/// Called when Tab is pressed: the line, the byte at which the word before the cursor begins, and the word. Calls
/// `martlet_edit_offer` for each text that may take its place.
typedef void (*martlet_edit_completer)(void *context, const char *line, int start, const char *word);
void martlet_edit_complete_with(martlet_edit_completer completer, void *context);
void martlet_edit_offer(const char *candidate);

/// From now on Ctrl-C gives up the line that is being edited; at other times it sends `bytes` (at most 64) over a connection of
/// its own to the address, which is looked up here. Returns 0, or -1 where there is no such address.
int martlet_edit_interrupt_sends(const char *host, uint16_t port, const void *bytes, size_t count);
