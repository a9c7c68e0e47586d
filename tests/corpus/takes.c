// SPDX-License-Identifier: GPL-2.0-only
/* Uses a function of each class. */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/version.h>

#include "gives.h"

static int __init takes_init(void)
{
	return gives_gpl(0) + gives_any(0) + gives_named(0) + gives_chosen(0) == 10 ? 0 : -EINVAL;
}
module_init(takes_init);

static void __exit takes_exit(void)
{
}
module_exit(takes_exit);

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
MODULE_IMPORT_NS("GIVES");
#else
MODULE_IMPORT_NS(GIVES);
#endif
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Imports");
