"""What tests need: NATS on a free port, fake clock, scripted caller and model."""
