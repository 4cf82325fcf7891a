"""A simulated hospital: patients, orders, images, an EHR, a RIS and readers, all outside the product's own processes."""
