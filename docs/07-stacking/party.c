// SPDX-License-Identifier: GPL-2.0
/* Stands on anna and on otto. */
#include <linux/module.h>

#include "party.h"

static int __init party_init(void)
{
	int err = anna_comes();

	if (err)
		return err;
	return otto_comes();
}
module_init(party_init);

static void __exit party_exit(void)
{
}
module_exit(party_exit);

MODULE_DESCRIPTION("Lets two modules be greeted");
MODULE_LICENSE("GPL");
