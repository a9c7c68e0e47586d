// SPDX-License-Identifier: GPL-2.0
/* The other part. */
int stem_helper(void);

int stem_helper(void)
{
	return 0;
}
