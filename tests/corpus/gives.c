// SPDX-License-Identifier: GPL-2.0-only
/* Exports a function of each class. */
#include <linux/export.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/version.h>

#include "gives.h"

int gives_gpl(int value)
{
	return value + 1;
}
EXPORT_SYMBOL_GPL(gives_gpl);

int gives_any(int value)
{
	return value + 2;
}
EXPORT_SYMBOL(gives_any);

int gives_named(int value)
{
	return value + 3;
}
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
EXPORT_SYMBOL_NS_GPL(gives_named, "GIVES");
#else
EXPORT_SYMBOL_NS_GPL(gives_named, GIVES);
#endif

int gives_chosen(int value)
{
	return value + 4;
}
#ifdef EXPORT_SYMBOL_FOR_MODULES
EXPORT_SYMBOL_FOR_MODULES(gives_chosen, "takes,other-*");
#else
EXPORT_SYMBOL_GPL(gives_chosen);
#endif

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exports");
