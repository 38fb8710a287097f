/* What the engine measures of its groups; counted on its loop. */
#ifndef ENGINE_MEASURE_H
#define ENGINE_MEASURE_H

#include <stdint.h>

/* A group became durable, so long after it was handed to the store. */
void engine_measure_durable(uint64_t duration_ns, uint32_t request_count);

#endif
