#include "CMartletVector.h"
