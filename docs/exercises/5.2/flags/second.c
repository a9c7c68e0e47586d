// SPDX-License-Identifier: GPL-2.0
/* Returns whether it was given -DLOUD. */
#include <linux/kconfig.h>

#include <flags.h>

int flags_second(void)
{
#ifdef LOUD
	return 1;
#else
	return 0;
#endif
}
