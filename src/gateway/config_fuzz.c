/* Any bytes as a configuration: read, or refused with a message that names a line. */
#include "config.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gateway_config *config = NULL;
    char message[GATEWAY_MESSAGE_SIZE];
    if (size > 65536) {
        return 0;
    }
    err_t result = gateway_config_read(span_of(data, size), &config, message);
    if (result != ERR_OK) {
        ASSERT(config == NULL);
        ASSERT(message[0] != '\0');
        return 0;
    }
    ASSERT(config->route_count > 0);
    for (size_t i = 0; i < config->route_count; i++) {
        ASSERT(config->routes[i].split_count > 0);
        ASSERT(config->routes[i].index == i);
        for (size_t j = 0; j < config->routes[i].split_count; j++) {
            ASSERT(config->routes[i].splits[j].upstream_index < config->upstream_count);
        }
    }
    gateway_config_destroy(&config);
    return 0;
}
