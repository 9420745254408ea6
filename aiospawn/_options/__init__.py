"""What may be asked of a launch, checked: values in their final form."""
