// SPDX-License-Identifier: GPL-2.0
/* Takes any number. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/module.h>

static uint percent = 50;
module_param(percent, uint, 0644);
MODULE_PARM_DESC(percent, "0 to 100");

MODULE_DESCRIPTION("Takes any number");
MODULE_LICENSE("GPL");
