#include "store/store.h"

#include "journal.h"

#include "os/sim_disk.h"

#include <stdio.h>
#include <string.h>
