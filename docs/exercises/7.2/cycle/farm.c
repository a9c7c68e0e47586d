// SPDX-License-Identifier: GPL-2.0
/* Has nothing yet. */
#include <linux/module.h>

MODULE_DESCRIPTION("Has nothing yet");
MODULE_LICENSE("GPL");
