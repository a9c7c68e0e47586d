// SPDX-License-Identifier: GPL-2.0
/* The C part: returns the number that ccflags-y gives. */
#include <limit.h>

int hello_limit(void)
{
	return LIMIT;
}
