"""The corridor between the rooms: observe, decide, record, and what makes it durable. No radiology here."""
