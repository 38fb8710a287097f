/* Rows of a table of options, for commands whose options are a struct of their own. */
#ifndef TAEL_OPTION_H
#define TAEL_OPTION_H

#include "base/settings.h"

#define OPTION_SIZE_OF(type, member) ((int64_t)sizeof(((type *)0)->member))

#define OPTION_TEXT(type, member, name_, fallback_, help_)                                         \
    {                                                                                              \
        .name = name_, .kind = SETTING_TEXT, .offset = offsetof(type, member),                     \
        .fallback = fallback_, .maximum = OPTION_SIZE_OF(type, member), .help = help_              \
    }
/* A text that has an environment variable which others use too. */
#define OPTION_USUAL(type, member, name_, fallback_, variable_, help_)                             \
    {                                                                                              \
        .name = name_, .kind = SETTING_TEXT, .offset = offsetof(type, member),                     \
        .fallback = fallback_, .maximum = OPTION_SIZE_OF(type, member), .help = help_,             \
        .variable = variable_                                                                      \
    }
/* The value is never printed back. */
#define OPTION_SECRET(type, member, name_, fallback_, help_)                                       \
    {                                                                                              \
        .name = name_, .kind = SETTING_TEXT, .offset = offsetof(type, member),                     \
        .fallback = fallback_, .maximum = OPTION_SIZE_OF(type, member), .help = help_,             \
        .secret = true                                                                             \
    }
#define OPTION_SWITCH(type, member, name_, help_)                                                  \
    {                                                                                              \
        .name = name_, .kind = SETTING_BOOLEAN, .offset = offsetof(type, member),                  \
        .fallback = "false", .help = help_                                                         \
    }
#define OPTION_NUMBER(type, member, name_, fallback_, low, high, unit_, help_)                     \
    {                                                                                              \
        .name = name_, .kind = SETTING_INTEGER, .offset = offsetof(type, member),                  \
        .fallback = fallback_, .minimum = low, .maximum = high, .unit = unit_, .help = help_       \
    }
#define OPTION_DURATION(type, member, name_, fallback_, low, high, help_)                          \
    {                                                                                              \
        .name = name_, .kind = SETTING_DURATION, .offset = offsetof(type, member),                 \
        .fallback = fallback_, .minimum = low, .maximum = high, .help = help_                      \
    }

#endif
