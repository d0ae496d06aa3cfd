#ifndef C_MARTLET_EVENT_H
#define C_MARTLET_EVENT_H

/// The version of the libevent in use, e.g. "2.1.12-stable".
const char *martlet_event_version(void);

#endif
