#include "CMartletEvent.h"
#include <event2/event.h>

const char *martlet_event_version(void) { return event_get_version(); }
