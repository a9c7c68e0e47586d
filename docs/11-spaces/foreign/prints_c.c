// SPDX-License-Identifier: GPL-2.0
/* Asks for the C library. */
#include <stdio.h>

int hello(void)
{
	return printf("Hello world!\n");
}
