// SPDX-License-Identifier: GPL-2.0
/* Proprietary, and uses what it may */
#include <linux/module.h>

#include "greeter.h"

static int __init closed_init(void)
{
	pr_info("closed: %d\n", greeter_any());
	return 0;
}
module_init(closed_init);

static void __exit closed_exit(void)
{
}
module_exit(closed_exit);

MODULE_DESCRIPTION("Proprietary, and uses what it may");
MODULE_LICENSE("Proprietary");
