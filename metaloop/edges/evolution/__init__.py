"""An evolution carried out: org runs on real devices, what a person sees, the evidence at the end."""
